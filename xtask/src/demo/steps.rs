//! `cargo xtask demo --original`: the ten steps of the scripts that Windrow replaces, in their order and by the commands of README's table, with
//! the Kafka and the Spark that the scripts had.
//!
//! ```text
//! 1       a broker with its ZooKeeper, of the version that the line says
//! 2 to 5  run to their end
//! 6, 7    go on beside one another; and beside them the scripts' own job, by the lines of the how-to about moving
//! 10      sends the sample; once everybody has seen all of it, all are ended
//! 8, 9    pictures, of what there is then
//! ```
//!
//! The lines are run as they stand there, but for what another machine has: the address of the broker, and the jars of Spark's connector, which are
//! fetched beforehand. At the end everybody's counts must agree.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::field::{Field, Going};
use crate::kafka::{self, Rig, Setup};
use crate::shell::{Watch, check_machine, root, say, wait_for};

/// What a command of the table begins with; other code in it is none.
const PROGRAMS: [&str; 3] = ["cargo xtask ", "windrow ", "spark-submit "];
/// Rows of the sample. Its preprocessing keeps them all.
const ROWS: u64 = 100;
/// Two Sparks start meanwhile.
const PATIENCE_S: f64 = 600.0;

/// A row of README's table.
#[derive(Debug, PartialEq)]
struct Step {
    number: usize,
    /// What the scripts called it.
    theirs: String,
    /// What is said of ours, and the commands in it.
    ours: String,
    commands: Vec<String>,
}

impl Step {
    /// From ``| 2 | `create_topics.py` | `windrow topics create` |``.
    fn of(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (number, theirs, ours) = (cells.next()?.trim().parse().ok()?, cells.next()?, cells.next()?);
        let ours = ours.trim_end().trim_end_matches('|').trim_end();
        let code = ours.split('`').skip(1).step_by(2);
        let commands =
            code.filter(|code| PROGRAMS.iter().any(|program| code.starts_with(program))).map(str::to_owned).collect();
        Some(Self { number, theirs: theirs.replace('`', ""), ours: ours.to_owned(), commands })
    }

    fn announce(&self) {
        say(format_args!("\n{:>2}  {}", self.number, self.theirs));
        if self.commands.is_empty() {
            say(format_args!("    {}", self.ours));
        }
    }
}

/// The ten steps of README.
fn steps() -> Result<Vec<Step>> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let steps: Vec<Step> = readme.lines().filter_map(Step::of).collect();
    ensure!(steps.iter().map(|step| step.number).eq(1..=10), "README.md has no table of the ten steps: {steps:?}");
    Ok(steps)
}

/// The lines that let the scripts' own job write beside ours: they make its topics, start it, and count what it wrote.
fn beside() -> Result<[String; 3]> {
    const PAGE: &str = "docs/how-to/move-from-the-scripts.md";
    let page = std::fs::read_to_string(root().join(PAGE))?;
    let lines: Vec<String> =
        page.lines().filter(|line| line.contains("theirs_") && !line.contains('`')).map(str::to_owned).collect();
    lines.try_into().map_err(|lines| anyhow::anyhow!("{PAGE} should have three lines with `theirs_`, and has {lines:?}"))
}

/// Starts the broker of the first step, on a free port.
fn broker(step: &Step) -> Result<Rig> {
    step.announce();
    let command = step.commands.first().context("the first step starts a broker")?;
    say(format_args!("    what `{command}` starts, on a free port"));
    let rig = Setup::new(kafka::asked_version(command)?).start()?;
    say(format_args!("    it takes connections, here at {}", rig.bootstrap()));
    Ok(rig)
}

pub(crate) fn original() -> Result<()> {
    check_machine(&kafka::NEEDS)?;
    let (watch, steps) = (Watch::start(), steps()?);
    let mut field = Field::prepare()?;
    say(format_args!("built, and Spark at hand, after {:.0} s; all files are in {}", watch.seconds(), field.dir.display()));
    let watch = Watch::start();
    let rig = broker(&steps[0])?;
    field.servers = rig.bootstrap();
    let (pictures, others): (Vec<&Step>, Vec<&Step>) = steps[1..].iter().partition(|step| [8, 9].contains(&step.number));
    let mut going = Vec::new();
    for step in others {
        if step.number == 10 {
            say("\n 8, 9  draw pictures of what there is: below, when there is something to see");
        }
        step.announce();
        walk(step, &field, &mut going)?;
    }
    all_have_seen_it(&field, &mut going)?;
    going.into_iter().try_for_each(Going::end)?;
    for step in pictures {
        step.announce();
        step.commands.iter().try_for_each(|command| field.run(command))?;
    }
    let agreed = agreed(&field)?;
    say(format_args!("\n{agreed}\n\npictures:"));
    ["messages.svg", "domains.svg"].iter().for_each(|name| say(format_args!("  {}", field.dir.join(name).display())));
    say(format_args!("the page of it: cd {} && {} serve", field.dir.display(), field.windrow.display()));
    say(format_args!("demo-original: ten steps in {:.0} s, and all counts agree", watch.seconds()));
    Ok(())
}

/// Runs what a step says, or starts what goes on.
fn walk(step: &Step, field: &Field, going: &mut Vec<Going>) -> Result<()> {
    for command in &step.commands {
        match (step.number, command.as_str()) {
            (6, run) if run.starts_with("windrow ") => {
                let started = field.start("run", run)?;
                say(format_args!("    {}", started.first_line()?));
                going.push(started);
            }
            (6, job) => going.push(field.start("spark", job)?),
            (7, counters) => going.push(field.start("counters", counters)?),
            (_, command) => field.run(command)?,
        }
    }
    if step.number == 6 {
        say("    beside it, to compare: the job that the scripts had");
        let [topics, job, _] = beside()?;
        field.run(&topics)?;
        going.push(field.start("theirs", &job)?);
    }
    Ok(())
}

/// Waits until the counters, Spark and the scripts' job have seen every row.
fn all_have_seen_it(field: &Field, going: &mut [Going]) -> Result<()> {
    say("\n    waiting until the counters, Spark and the scripts' job have seen all rows");
    let mut seen = [0; 3];
    let all = wait_for(PATIENCE_S, || {
        going.iter_mut().try_for_each(Going::still_runs)?;
        seen = [field.counted()?.iter().sum(), field.committed("spark/output")?, field.told("theirs")?];
        Ok((seen == [ROWS; 3]).then_some(()))
    })?;
    ensure!(
        all.is_some(),
        "after {PATIENCE_S} s the counters have seen {} rows, Spark {}, the scripts' job {}",
        seen[0],
        seen[1],
        seen[2]
    );
    Ok(())
}

/// What everybody counted, or where they differ.
fn agreed(field: &Field) -> Result<String> {
    let counts = field.counted()?;
    ensure!(counts.len() == 50 && counts.iter().sum::<u64>() == ROWS, "message_counts.json: {counts:?}");
    let audited = field.json("windrow audit -o json")?;
    let is_clean = ["lost", "duplicated", "disagreeing"].iter().all(|name| audited[name] == 0);
    ensure!(is_clean && audited["topics"]["pages"] == ROWS, "windrow audit: {audited}");
    let files = field.files()?;
    ensure!(files["ours"] == json!(counts), "tmp/output has {}, the topics {counts:?}", files["ours"]);
    let pages = |of: &str| files[of].as_array().into_iter().flatten().filter_map(Value::as_u64).sum::<u64>();
    ensure!(pages("spark") == ROWS, "spark/output has {}", files["spark"]);
    let [_, _, count] = beside()?;
    let theirs = field.json(&format!("{count} -o json"))?;
    ensure!(
        theirs["pages"] == ROWS && pages("theirs") == ROWS,
        "the scripts' job: topics {theirs}, Parquet {}",
        files["theirs"]
    );
    ensure!(
        files["other_domains"] == json!([]),
        "main domains that are not those of the scripts' job: {}",
        files["other_domains"]
    );
    for (picture, word) in [("messages.svg", "100 pages"), ("domains.svg", "100 pages")] {
        let drawn = std::fs::read_to_string(field.dir.join(picture))?;
        ensure!(drawn.contains(word), "{picture} does not say `{word}`");
    }
    let used = |counts: &[u64]| counts.iter().filter(|pages| **pages > 0).count();
    Ok(format!(
        "{ROWS} rows in, and out of it came\n\
         \x20 {ROWS} pages in {} of the topics cluster_0 to cluster_49, as message_counts.json has them\n\
         \x20 {ROWS} pages in tmp/output, in the scripts' six columns, as many of each cluster as in its topic\n\
         \x20 {ROWS} pages in spark/output, by the job on Spark\n\
         \x20 {ROWS} pages in the topics theirs_0 to theirs_49 and in theirs/output, by the scripts' job; each page has the same main domain there\n\
         \x20 nothing lost, doubled or answered twice, says windrow audit",
        used(&counts)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_the_ten_steps_and_a_command_where_there_is_something_to_do() {
        let steps = steps().unwrap();
        let idle: Vec<usize> = steps.iter().filter(|step| step.commands.is_empty()).map(|step| step.number).collect();
        assert_eq!(idle, [3, 4]);
        assert_eq!(kafka::asked_version(&steps[0].commands[0]).unwrap(), kafka::Version::V2_8);
        let both: Vec<&str> = steps[5].commands.iter().filter_map(|command| command.split(' ').next()).collect();
        assert_eq!(both, ["windrow", "spark-submit"]);
    }

    #[test]
    fn the_page_about_moving_has_the_job_of_the_scripts() {
        let [topics, job, count] = beside().unwrap();
        assert!(topics.contains("windrow topics create") && count.contains("--from-topics --once"));
        assert!(job.starts_with("spark-submit ") && job.contains("examples/spark/original_job.py"));
    }

    #[test]
    fn code_that_is_no_command_is_none() {
        let step = Step::of("| 4 | `a.csv` | in `examples/`: `windrow check --input a.csv` |").unwrap();
        assert_eq!(
            (step.number, step.theirs.as_str(), step.commands),
            (4, "a.csv", vec!["windrow check --input a.csv".to_owned()])
        );
        assert_eq!(Step::of("| set | rows | K |"), None);
    }
}
