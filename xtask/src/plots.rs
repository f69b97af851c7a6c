//! Pictures of a run, looked at from outside: SVG is XML and nothing but shapes and text, PNG opens, every script has its letters, and what
//! strangers write stays text.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::shell::{fresh_dir, install, output, program, root, say, shared_data, stdout, windrow};

const KINDS: [&str; 4] = ["messages", "clusters", "domains", "map"];
/// Thirty languages in two dozen scripts.
const WORLD: &str = "world_headlines_2020_2021.csv.gz";
/// Links of eleven years, and how many of them are drawn.
const LINKS: (&str, &str) = ("links_stream_2012_2023.csv.gz", "20000");
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
/// Fonts that have them all, and a file of each package.
const FONTS: [(&str, &str); 3] = [
    ("fonts-noto-core", "truetype/noto/NotoSansThai-Regular.ttf"),
    ("fonts-noto-cjk", "opentype/noto/NotoSansCJK-Regular.ttc"),
    ("fonts-noto-color-emoji", "truetype/noto/NotoColorEmoji.ttf"),
];

/// Two letters of each of twenty scripts: a font that lacks them draws the same box for both.
const LETTERS: [(char, char); 20] = [
    ('A', 'B'),
    ('Б', 'Д'),
    ('Ω', 'Ψ'),
    ('Ա', 'Ֆ'),
    ('ა', 'ჰ'),
    ('א', 'ש'),
    ('ج', 'س'),
    ('क', 'ह'),
    ('অ', 'হ'),
    ('ਕ', 'ਹ'),
    ('ક', 'હ'),
    ('அ', 'ழ'),
    ('అ', 'హ'),
    ('ಅ', 'ಹ'),
    ('അ', 'ഹ'),
    ('ก', 'ข'),
    ('ក', 'អ'),
    ('አ', 'ሀ'),
    ('日', '月'),
    ('한', '국'),
];

/// What strangers call their pages.
const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script> one two",
    "\"/><svg onload=alert(2)> three four",
    "]]><![CDATA[ &x; five six",
    "\u{1b}[31mred\u{7}\u{8} seven eight",
    "\u{202e}gnp.exe\u{2066} \u{5e9}\u{5dc}\u{5d5}\u{5dd} nine ten",
    "javascript:alert(3) eleven twelve",
    "' onmouseover='alert(4) thirteen fourteen",
];

pub(crate) fn plots() -> Result<()> {
    let (windrow, dir) = (windrow("fast", &[])?, fresh_dir("plots")?);
    let has_fonts = fonts();
    draw(&windrow, &dir, ("sample", &root().join(SAMPLE), &[]), has_fonts)?;
    match shared_data(WORLD) {
        Some(world) => draw(&windrow, &dir, ("world", &world, &[]), has_fonts)?,
        None => say("passed over: pages of thirty languages, for want of ../shared/data"),
    }
    match shared_data(LINKS.0) {
        Some(links) => draw(&windrow, &dir, ("links", &first_of(&links, &dir)?, &[]), has_fonts)?,
        None => say("passed over: links of eleven years, for want of ../shared/data"),
    }
    if has_fonts {
        letters(&windrow, &dir)?;
    }
    let rows: Vec<String> = (0..).zip(HOSTILE).map(|(i, title)| format!("2023-05-1{i},{i},{}\n", quoted(title))).collect();
    let hostile = dir.join("hostile.csv");
    std::fs::write(&hostile, format!("creation_time,id,title\n{}2023-05-18,99,{}\n", rows.concat(), "W".repeat(10_000)))?;
    let renamed: Vec<&str> = HOSTILE.iter().filter(|title| !title.contains(char::is_control)).copied().collect();
    draw(&windrow, &dir, ("hostile", &hostile, &renamed), has_fonts)
}

/// The first rows of a file.
fn first_of(file: &Path, dir: &Path) -> Result<PathBuf> {
    let first = dir.join("links.csv");
    let script = root().join("e2e/plots.py");
    stdout(program("python3").arg(script).arg("--first").arg(LINKS.1).arg(file).arg(&first))?;
    Ok(first)
}

/// Whether letters are drawn, and no boxes, whatever the program says of itself: two pictures whose labels are other letters of the same script
/// differ at each label.
fn letters(windrow: &Path, dir: &Path) -> Result<()> {
    let call = |args: &[&str]| stdout(Command::new(windrow).current_dir(dir).arg("--quiet").args(args));
    call(&["run", "--out", "letters", "--input", "generator:rows=3000,seed=3"])?;
    let clusters = call(&["clusters", "-o", "json", "--out", "letters"])?;
    let clusters: Vec<Value> = clusters.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut ids: Vec<_> = clusters.iter().map(|one| (Reverse(one["delivered"].as_u64()), one["cluster"].to_string())).collect();
    ids.sort();
    // Half of them at a time: so many labels are shown.
    for (half, letters) in LETTERS.chunks(LETTERS.len() / 2).enumerate() {
        let pictures = ["a", "b"].map(|picture| format!("letters-{half}{picture}"));
        for (nth, picture) in pictures.iter().enumerate() {
            for ((_, id), pair) in ids.iter().zip(letters) {
                let label = String::from([pair.0, pair.1][nth]).repeat(4);
                call(&["clusters", "rename", id, &label, "--out", "letters"])?;
            }
            for form in ["svg", "png"] {
                call(&["plot", "messages", "--folder", "letters", "--out", &format!("{picture}.{form}")])?;
            }
        }
        let mut look = program("python3");
        look.arg(root().join("e2e/plots.py")).arg("--letters").arg(letters.len().to_string());
        say(stdout(look.args(pictures.map(|picture| dir.join(picture))))?.trim());
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Whether this machine has the fonts; installs them where it may.
fn fonts() -> bool {
    let here = |file: &str| Path::new("/usr/share/fonts").join(file).exists();
    let missing: Vec<&str> = FONTS.iter().filter(|(_, file)| !here(file)).map(|(package, _)| *package).collect();
    let has = missing.is_empty() || install(&missing);
    if !has {
        say("passed over: whether every script is drawn, for want of fonts that could not be installed");
    }
    has
}

/// Draws all pictures of an input, some of whose clusters are called like this, and looks at them.
fn draw(windrow: &Path, dir: &Path, (name, input, labels): (&str, &Path, &[&str]), has_fonts: bool) -> Result<()> {
    let call = |args: &[&str]| {
        let mut command = Command::new(windrow);
        command.current_dir(dir).arg("--quiet").args(args);
        command
    };
    stdout(call(&["run", "--out", name, "--input"]).arg(input))?;
    let clusters = stdout(&mut call(&["clusters", "-o", "json", "--out", name]))?;
    let ids = clusters.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["cluster"].to_string()));
    for (id, label) in ids.collect::<Result<Vec<_>>>()?.iter().zip(labels) {
        // A name that no screen can show is refused; those that are taken are drawn.
        output(&mut call(&["clusters", "rename", id, label, "--out", name]))?;
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for kind in KINDS {
        for form in ["svg", "png"] {
            let file = format!("{name}-{kind}.{form}");
            let told = stdout(&mut call(&["plot", kind, "--folder", name, "--out", &file, "-o", "json"]))?;
            let missing = &serde_json::from_str::<Value>(&told)?["missing"];
            ensure!(!has_fonts || missing.as_array().is_some_and(Vec::is_empty), "{file}: no letters for {missing}");
            files.push(dir.join(file));
        }
    }
    let page = format!("{name}.html");
    stdout(&mut call(&["export", "--html", &page, "--folder", name]))?;
    files.push(dir.join(page));
    let looked = output(program("python3").arg(root().join("e2e/plots.py")).args(&files))?;
    ensure!(looked.status.success(), "{}{}", String::from_utf8_lossy(&looked.stdout), String::from_utf8_lossy(&looked.stderr));
    say(format_args!("{name}: {}", String::from_utf8_lossy(&looked.stdout).trim()));
    Ok(())
}
