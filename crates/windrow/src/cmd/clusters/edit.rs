//! What users do to the clusters, and what it would do.

use clap::Subcommand;
use serde_json::{Value, json};
use windrow_core::cluster::{ClusterId, MicroId};
use windrow_core::lineage::Edit;
use windrow_core::pipeline::{ClusterView, Theme};
use windrow_engine::run::{self, Edited, Effect, Taken};

use super::{Args, Place, PlaceKeys, card};
use crate::args::{Format, SettingFlags};
use crate::cmd::{App, Done, Exit, Failure};
use crate::edited;
use crate::term::table::{self, Column};
use crate::term::{Style, text};

#[derive(Debug, Subcommand)]
pub(super) enum EditVerb {
    /// Show one cluster: what it is about, how its addresses look, which pages
    /// came more than once
    #[command(before_help = "Examples:\n  windrow clusters show 7 --out out\n")]
    Show {
        /// The cluster's id
        id: ClusterId,
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
    /// List the themes of a cluster, heaviest first
    #[command(before_help = "Examples:\n  windrow clusters themes 7 --out out\n")]
    Themes {
        /// The cluster's id
        id: ClusterId,
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
    /// Name a cluster; an empty name gives the naming back to Windrow
    #[command(before_help = "Examples:\n  windrow clusters rename 7 'summer sale' --out out\n")]
    Rename {
        /// The cluster's id
        id: ClusterId,
        /// The name
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// Keep a cluster alive on its slot
    #[command(before_help = "Examples:\n  windrow clusters pin 7 --out out\n")]
    Pin {
        /// The cluster's id
        id: ClusterId,
        #[command(flatten)]
        how: How,
    },
    /// Let a pinned cluster go again
    #[command(before_help = "Examples:\n  windrow clusters unpin 7 --out out\n")]
    Unpin {
        /// The cluster's id
        id: ClusterId,
        #[command(flatten)]
        how: How,
    },
    /// Have a cluster taken in by another one
    #[command(before_help = "Examples:
  windrow clusters merge 7 --into 3 --dry-run --out out

The cluster ends and its themes stay together in the other one, whatever they
are like. Pages that were delivered keep their cluster; exports say where they
are now.
")]
    Merge {
        /// The id of the cluster that ends
        id: ClusterId,
        /// The id of the cluster that takes it in
        #[arg(long, value_name = "ID")]
        into: ClusterId,
        #[command(flatten)]
        how: How,
    },
    /// Make a cluster of some themes of another one
    #[command(before_help = "Examples:
  windrow clusters split 7 --dry-run --out out
  windrow clusters split 7 --themes 4711,4712 --out out
  windrow clusters split 7 --make-room --out out

Where every slot has a cluster it is refused, and says which two are most alike:
--make-room merges these first. `undo` takes back the split, then the merge.
")]
    Split {
        /// The cluster's id
        id: ClusterId,
        /// The themes that go; else those less like its heaviest than like each
        /// other
        #[arg(long, value_name = "ID,…", value_delimiter = ',')]
        themes: Vec<MicroId>,
        /// Where no slot is free, merge the two clusters most alike first, of those
        /// that nobody named, pinned or put together
        #[arg(long)]
        make_room: bool,
        #[command(flatten)]
        how: How,
    },
    /// Put themes into a cluster, where they stay
    #[command(before_help = "Examples:\n  windrow clusters move 4711 4712 --to 7 --out out\n")]
    Move {
        /// The ids of the themes
        #[arg(required = true, value_delimiter = ',')]
        themes: Vec<MicroId>,
        /// The cluster's id
        #[arg(long, value_name = "ID")]
        to: ClusterId,
        #[command(flatten)]
        how: How,
    },
    /// Let themes go where their likeness takes them again
    #[command(before_help = "Examples:\n  windrow clusters release 4711 --out out\n")]
    Release {
        /// The ids of the themes
        #[arg(required = true, value_delimiter = ',')]
        themes: Vec<MicroId>,
        #[command(flatten)]
        how: How,
    },
    /// Take back the latest edit
    #[command(before_help = "Examples:\n  windrow clusters undo --out out\n")]
    Undo {
        /// Pass over edits that can be taken back no more
        #[arg(long)]
        older: bool,
        #[command(flatten)]
        how: How,
    },
}

/// Where it is done, and whether.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Say what it would do, and how many of the newest 5,000 pages would move; do
    /// nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
}

pub(super) fn run(args: &Args, verb: &EditVerb, app: &mut App) -> Done {
    let (edit, how) = match verb {
        EditVerb::Show { id, settings } => return card::show(&place(args, settings, app)?, *id, app),
        EditVerb::Themes { id, settings } => return themes(args, *id, settings, app),
        EditVerb::Rename { id, name, how } => (Edit::Rename { cluster: *id, label: name.clone() }, how),
        EditVerb::Pin { id, how } => (Edit::Pin { cluster: *id, pinned: true }, how),
        EditVerb::Unpin { id, how } => (Edit::Pin { cluster: *id, pinned: false }, how),
        EditVerb::Merge { id, into, how } => (Edit::Merge { cluster: *id, into: *into }, how),
        EditVerb::Split { id, themes, make_room, how } => {
            (Edit::Split { cluster: *id, micro_clusters: themes.clone(), make_room: *make_room }, how)
        }
        EditVerb::Move { themes, to, how } => (Edit::Move { micro_clusters: themes.clone(), to: *to }, how),
        EditVerb::Release { themes, how } => (Edit::Release { micro_clusters: themes.clone() }, how),
        EditVerb::Undo { older, how } => (Edit::Undo { older: *older }, how),
    };
    let at = place(args, &how.settings, app)?;
    if how.dry_run {
        return show(&edit, &run::preview(&at.out, at.state.as_deref(), &edit)?, None, app);
    }
    let Edited { effect, taken } = run::edit(&at.out, at.state.as_deref(), &edit, &app.clock)?;
    show(&edit, &effect, Some(&taken), app)
}

fn place(args: &Args, flags: &SettingFlags<PlaceKeys>, app: &App) -> Result<Place, Failure> {
    let given = args.settings.given.iter().chain(&flags.given).cloned().collect::<Vec<_>>();
    Ok(Place::of(app.settings(&given)?.settings.output))
}

fn show(edit: &Edit, effect: &Effect, taken: Option<&Taken>, app: &mut App) -> Done {
    match app.term.format {
        Format::Json => app.term.json(&edited::object(edit, effect, taken))?,
        Format::Tsv => {
            let cells = edited::cells(effect, taken);
            app.term.tsv(&cells.each_ref().map(|(name, _)| *name))?;
            app.term.tsv(&cells.each_ref().map(|(_, cell)| cell))?;
        }
        Format::Text => app.term.line(&edited::line(effect, taken))?,
    }
    Ok(Exit::Fine)
}

/// The themes of a cluster.
fn themes(args: &Args, id: ClusterId, flags: &SettingFlags<PlaceKeys>, app: &mut App) -> Done {
    let at = place(args, flags, app)?;
    let view = at.read()?.ok_or_else(|| at.nothing())?.pipeline.view();
    let found = view.clusters.into_iter().find(|cluster| cluster.cluster == id);
    let cluster = found.ok_or_else(|| at.not_alive(id))?;
    match app.term.format {
        Format::Json => cluster.themes.iter().try_for_each(|theme| app.term.json(&theme_object(id, theme)))?,
        Format::Tsv => {
            app.term.tsv(&["micro_cluster", "pages", "weight", "likeness", "held", "terms"])?;
            for theme in &cluster.themes {
                let numbers = [theme.pages.to_string(), theme.weight.to_string(), theme.likeness.to_string()];
                let cells =
                    [vec![theme.micro_cluster.to_string()], numbers.to_vec(), vec![theme.held.to_string(), terms(theme, " ")]];
                app.term.tsv(&cells.concat())?;
            }
        }
        Format::Text => theme_table(&cluster, app)?,
    }
    Ok(Exit::Fine)
}

fn theme_object(cluster: ClusterId, theme: &Theme) -> Value {
    json!({
        "schema": "windrow.theme/1",
        "cluster": cluster,
        "micro_cluster": theme.micro_cluster,
        "pages": theme.pages,
        "weight": theme.weight,
        "likeness": theme.likeness,
        "held": theme.held,
        "terms": theme.terms.iter().map(|term| &term.term).collect::<Vec<_>>(),
    })
}

fn theme_table(cluster: &ClusterView, app: &mut App) -> Result<(), Failure> {
    let columns = [
        Column::right("theme", 10).style(Style::Dim),
        Column::right("pages", 11),
        Column::right("like", 5),
        Column::left("", 1),
        Column::rest("terms"),
    ];
    let cells = |theme: &Theme| {
        let held = if theme.held { "●" } else { "" };
        let terms = text::plain(&terms(theme, ", ")).into_owned();
        vec![
            theme.micro_cluster.to_string(),
            text::count(theme.pages),
            format!("{:.2}", theme.likeness),
            held.to_owned(),
            terms,
        ]
    };
    table::write(&mut app.term, &columns, &cluster.themes.iter().map(cells).collect::<Vec<_>>())?;
    let lighter = cluster.micro_clusters.saturating_sub(cluster.themes.len() as u64);
    if lighter > 0 {
        app.term.say(&format!("{} lighter", text::counted(lighter, "theme")));
    }
    Ok(())
}

fn terms(theme: &Theme, between: &str) -> String {
    theme.terms.iter().map(|term| term.term.as_str()).collect::<Vec<_>>().join(between)
}
