//! `windrow config`: what is in force, what a setting means.

use clap::Subcommand;
use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::settings::{CLIENT_SECTION, Change, KEYS, Key, Resolved, Value, json_schema, nearest_key};

use super::{App, Done, Exit, Failure};
use crate::args::Format;
use crate::term::table::{self, Column};
use crate::term::{Style, text};

/// Show settings: what is in force and why, what each means
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow config show --origin             every setting and where it was set
  windrow config explain model.clusters    what one setting does
  windrow config schema > windrow.schema.json
")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every setting in force
    #[command(before_help = "Examples:\n  windrow config show --origin\n  windrow config show -o json\n")]
    Show {
        /// Also print where each value was set
        #[arg(long)]
        origin: bool,
    },
    /// Say what a setting does
    #[command(before_help = "Examples:\n  windrow config explain model.clusters\n")]
    Explain {
        /// The setting, for example `model.clusters`
        key: String,
    },
    /// Print the JSON schema of windrow.toml
    #[command(before_help = "Examples:\n  windrow config schema > windrow.schema.json\n")]
    Schema,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    match &args.what {
        What::Show { origin } => show(*origin, app)?,
        What::Explain { key } => explain(key, app)?,
        What::Schema => {
            let schema = serde_json::to_string_pretty(&json_schema()).unwrap_or_default();
            app.term.line(&schema)?;
        }
    }
    Ok(Exit::Fine)
}

/// One setting as it is shown.
struct Shown {
    key: String,
    toml: String,
    json: serde_json::Value,
    origin: String,
    change: &'static str,
}

/// Our own settings, then librdkafka's keys as far as they were given.
fn all(resolved: &Resolved) -> impl Iterator<Item = Shown> {
    let own = KEYS.iter().zip(&resolved.origins).map(|(key, origin)| {
        let value = (key.get)(&resolved.settings);
        let (toml, json) = (value.toml(), value.json());
        Shown { key: key.name.to_owned(), toml, json, origin: origin.to_string(), change: key.change.name() }
    });
    let client = resolved.settings.kafka.shown().map(|(key, value)| Shown {
        key: format!("{CLIENT_SECTION}{key}"),
        toml: Value::Text(value.to_owned()).toml(),
        json: value.into(),
        origin: resolved.client_origins.get(key).map(ToString::to_string).unwrap_or_default(),
        change: Change::NextCommit.name(),
    });
    own.chain(client)
}

/// The same as plain data.
pub(crate) fn objects(resolved: &Resolved) -> Vec<serde_json::Value> {
    all(resolved).map(|one| json!({"key": one.key, "value": one.json, "origin": one.origin, "change": one.change})).collect()
}

fn show(with_origin: bool, app: &mut App) -> Result<(), Failure> {
    let resolved = app.settings(&[])?;
    if app.term.format == Format::Tsv {
        app.term.tsv(&["key", "value", "origin"])?;
    }
    let mut rows = Vec::new();
    for Shown { key, toml, json, origin, change } in all(&resolved) {
        match app.term.format {
            Format::Json => app.term.json(&json!({
                "schema": "windrow.setting/1", "key": key, "value": json, "origin": origin, "change": change,
            }))?,
            Format::Tsv => app.term.tsv(&[&key, &toml, &origin])?,
            Format::Text => {
                let origin = with_origin.then_some(origin);
                let row = [key, toml].into_iter().chain(origin);
                rows.push(row.map(|cell| text::plain(&cell).into_owned()).collect());
            }
        }
    }
    if app.term.format == Format::Text {
        let mut columns = vec![Column::left("setting", 24).style(Style::Bold), Column::rest("value")];
        if with_origin {
            columns.push(Column::left("set in", 34).style(Style::Dim));
        }
        table::write(&mut app.term, &columns, &rows)?;
    }
    Ok(())
}

fn explain(name: &str, app: &mut App) -> Result<(), Failure> {
    let key = find(name)?;
    let resolved = app.settings(&[])?;
    let value = (key.get)(&resolved.settings);
    let origin =
        KEYS.iter().zip(&resolved.origins).find(|(known, _)| known.name == key.name).map(|(_, origin)| origin.to_string());
    if app.term.format != Format::Text {
        return app.term.object(&json!({
            "schema": "windrow.setting/1", "key": key.name, "value": value.json(), "origin": origin,
            "default": key.default().json(), "takes": key.ty.describe(), "change": key.change.name(), "doc": key.doc,
            "flag": key.flag.map(|flag| format!("--{flag}")), "env": key.env(),
        }));
    }
    let title = app.term.paint(Style::Bold, key.name);
    app.term.line(&format!("{title}\n{}\n", key.doc))?;
    let change = match key.change.name() {
        "new-state" => "needs new state",
        "re-clusters" => "clusters are made anew from the micro-clusters",
        _ => "in force from the next commit on",
    };
    let mut facts = vec![
        ("takes", key.ty.describe()),
        ("default", key.default().toml()),
        ("now", format!("{} ({})", value.toml(), origin.unwrap_or_default())),
        ("change", change.to_owned()),
        ("file", format!("[{}] {} = …", key.section(), key.short_name())),
        ("environment", key.env()),
    ];
    facts.extend(key.flag.map(|flag| ("flag", format!("--{flag}"))));
    for (name, fact) in facts {
        let name = app.term.paint(Style::Dim, &format!("{name:>12}"));
        app.term.line(&format!("{name}  {}", text::plain(&fact)))?;
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Key, Error> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let hint =
            nearest_key(name).map_or("`windrow config show` lists them".into(), |near| format!("did you mean `{near}`?"));
        Error::new(ErrorKind::Invalid, "E-SETTINGS", format!("there is no setting `{name}`")).hint(hint)
    })
}
