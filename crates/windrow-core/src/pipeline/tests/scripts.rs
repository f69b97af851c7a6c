//! Streams of headlines in scripts that write no spaces, and in those that run from right to left: groups are found as in English, and
//! their labels are words that somebody wrote.

use std::collections::BTreeSet;

use super::*;
use crate::quality::score;

/// Four stories of a language, eight phrases each, and what stands between the phrases of a headline.
struct Language {
    name: &'static str,
    between: &'static str,
    stories: [&'static str; 4],
}

const LANGUAGES: [Language; 6] = [
    Language {
        name: "English",
        between: " ",
        stories: [
            "earthquake rescuers aftershock epicentre casualties rubble tents magnitude",
            "final referee penalty striker trophy stadium supporters goalkeeper",
            "chips semiconductor foundry exports datacentre wafers accelerator lithography",
            "festival director premiere actress jury carpet screenplay critics",
        ],
    },
    Language {
        name: "Chinese",
        between: "",
        stories: [
            "地震 救援队 余震 灾区 伤亡人数 倒塌房屋 紧急救援 震中",
            "世界杯 决赛 进球 裁判 点球大战 阿根廷队 冠军 球迷",
            "人工智能 芯片 半导体 出口管制 英伟达 数据中心 算力 晶圆厂",
            "电影节 导演 票房 女主角 红毯 首映礼 奖项 影评人",
        ],
    },
    Language {
        name: "Japanese",
        between: "",
        stories: [
            "台風 大雨警報 避難指示 河川の氾濫 停電 気象庁 暴風域 土砂災害",
            "総選挙 投票率 与党 野党 首相 開票速報 比例代表 過半数",
            "プロ野球 本塁打 先発投手 日本シリーズ 優勝 監督 阪神 完封勝利",
            "新幹線 運転見合わせ 乗客 北陸 復旧作業 特急券 車両基地 開業",
        ],
    },
    Language {
        name: "Thai",
        between: "",
        stories: [
            "น้ำท่วม ฝนตกหนัก ผู้ประสบภัย เขื่อน อพยพ ระดับน้ำ กรุงเทพ เตือนภัย",
            "เลือกตั้ง พรรคการเมือง นายกรัฐมนตรี คะแนนเสียง ผู้สมัคร สภาผู้แทน หาเสียง รัฐบาล",
            "ฟุตบอล ประตู ทีมชาติไทย โค้ช นักเตะ แชมป์ สนามกีฬา แฟนบอล",
            "อาหาร ต้มยำกุ้ง ร้านอาหาร สูตรทำขนม รสชาติ เชฟ มิชลิน ผัดไทย",
        ],
    },
    Language {
        name: "Arabic",
        between: " ",
        stories: [
            "المناخ الانبعاثات الكربون قمة الاحتباس الحراري الطاقة المتجددة",
            "كأس العالم المنتخب المباراة النهائي هدف المدرب الجماهير",
            "النفط أسعار أوبك البرميل الإنتاج الأسواق خام برنت",
            "معرض الكتاب الرواية الناشرين الأدب الشعر الترجمة القراء",
        ],
    },
    Language {
        name: "Hebrew",
        between: " ",
        stories: [
            "בחירות הכנסת קואליציה ממשלה מפלגה מצביעים סקר אופוזיציה",
            "כדורגל ליגה שער מאמן נבחרת אצטדיון אוהדים גביע",
            "הייטק סטארטאפ גיוס משקיעים סייבר אקזיט שבבים עובדים",
            "מזג אוויר גשם שלג חרמון סופה טמפרטורות שיטפונות",
        ],
    },
];

/// `n` headlines of four phrases each, and the story of each.
fn headlines(language: &Language, n: usize) -> (Vec<[String; 6]>, Vec<u64>) {
    let mut state = 1_u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    (0..n)
        .map(|i| {
            let story = draw(4);
            let mut left: Vec<&str> = language.stories[story].split(' ').collect();
            let phrases: Vec<String> = (0..4).map(|_| written(language.name, left.remove(draw(left.len())), draw(3))).collect();
            let title = phrases.join(language.between);
            let columns = ["2023-05-17 20:21:51", &i.to_string(), "", &title, "", ""].map(str::to_owned);
            (columns, story as u64)
        })
        .unzip()
}

/// A word as people write it: with signs of vowels or without, stretched or not.
fn written(language: &str, word: &str, how: usize) -> String {
    let sign = match (language, how) {
        ("Arabic", 0) => '\u{0640}',
        ("Arabic", 1) => '\u{064e}',
        ("Hebrew", 0) => '\u{05b8}',
        _ => return word.to_owned(),
    };
    let first = word.chars().next().expect("a word");
    format!("{first}{sign}{}", &word[first.len_utf8()..])
}

#[test]
fn groups_and_labels_hold_in_any_script() {
    let found = LANGUAGES.each_ref().map(found);
    assert!(found[0].0 > 0.75, "English: NMI {:.3}", found[0].0);
    for (language, (nmi, words)) in LANGUAGES.iter().zip(found) {
        assert!(nmi > found[0].0 - 0.05, "{}: NMI {nmi:.3}, {}'s is {:.3}", language.name, LANGUAGES[0].name, found[0].0);
        assert!(words > 0.7, "{}: {words:.2} of the words of labels are whole", language.name);
    }
}

/// How well the themes of a language agree with its stories, and how many of the words of labels are as they were written.
fn found(language: &Language) -> (f64, f64) {
    let (rows, stories) = headlines(language, 1_200);
    let (pipeline, outcome) = learnt(&rows, 4);
    let micro: Vec<u64> = outcome.decisions.iter().map(|decision| decision.micro_cluster).collect();
    let phrases: Vec<&str> = language.stories.iter().flat_map(|story| story.split(' ')).collect();
    let labels: Vec<String> = pipeline.view().clusters.into_iter().map(|cluster| cluster.label).collect();
    let words: Vec<&str> = labels.iter().flat_map(|label| label.split(", ")).collect();
    let whole = words.iter().filter(|word| phrases.contains(word)).count();
    (score(&stories, &micro).nmi_geometric, whole as f64 / words.len() as f64)
}

fn learnt(rows: &[[String; 6]], clusters: u32) -> (Pipeline, Outcome) {
    let settings = ModelSettings { clusters: clusters.into(), ..ModelSettings::default() };
    let mut pipeline = Pipeline::new(&settings).expect("the default model is known");
    let mut outcome = Outcome::default();
    pipeline.learn(&prepare(rows, 0), &mut outcome);
    (pipeline, outcome)
}

/// Languages that write no spaces.
fn unspaced() -> impl Iterator<Item = &'static Language> {
    LANGUAGES.iter().filter(|language| ["Chinese", "Japanese", "Thai"].contains(&language.name))
}

/// Streams of a language: many headlines, two of each story, one of each; the same with words around them; and a few hundred stories with
/// one or two pages.
fn streams(language: &Language) -> Vec<Vec<[String; 6]>> {
    let (many, _) = headlines(language, 1_200);
    let all: Vec<&str> = language.stories.iter().flat_map(|story| story.split(' ')).collect();
    let page = |at: usize, title: &str, description: &str| {
        ["2023-05-17 20:21:51", &at.to_string(), "", title, "", description].map(str::to_owned)
    };
    let few = |n: usize| -> Vec<_> {
        let title = |at: usize| language.stories[at % 4].split(' ').skip(at / 4 % n).take(4).collect::<Vec<_>>().join("");
        (0..240).map(|at| page(at, &title(at), language.stories[at % 4].split(' ').next_back().unwrap_or_default())).collect()
    };
    let around = (0..600).map(|at| {
        let story: Vec<&str> = language.stories[at % 4].split(' ').collect();
        let (kept, other) = (story[..3].concat(), all[at / 4 % 3 + 5]);
        let title = if at % 3 == 0 { format!("{other}{kept}") } else { format!("{kept}{other}") };
        page(at, &title, &story[3..].concat())
    });
    let lone = (0..300).map(|at| page(at, &[all[at % 32], all[at * 7 / 5 % 32], all[at * 11 / 3 % 32]].concat(), ""));
    vec![many, few(1), few(2), around.collect(), lone.collect()]
}

#[test]
fn labels_say_what_titles_say() {
    for language in unspaced() {
        for (number, rows) in streams(language).iter().enumerate() {
            for clusters in [4, 50] {
                let told = format!("{}, stream {number}, {clusters} clusters", language.name);
                let (pipeline, outcome) = learnt(rows, clusters);
                let texts: Vec<&str> = rows.iter().flat_map(|row| [row[3].as_str(), row[5].as_str()]).collect();
                let labels = outcome.labels.iter().flat_map(|label| label.split(", "));
                for word in labels {
                    assert!(
                        texts.iter().any(|text| text.contains(word)),
                        "{told}: nobody wrote {word} of {:?}",
                        outcome.labels
                    );
                    assert!(!is_part(word, &texts), "{told}: {word} is a part of a word, in {:?}", outcome.labels);
                }
                let view = pipeline.view();
                let terms = view.clusters.iter().flat_map(|it| it.themes.iter().flat_map(|it| &it.terms).chain(&it.terms));
                let mut shown = terms.map(|term| term.term.as_str());
                assert!(shown.all(|word| texts.iter().any(|text| text.contains(word))), "{told}");
            }
        }
    }
}

/// Whether two units stand only where the same one follows them, or is before them.
fn is_part(word: &str, texts: &[&str]) -> bool {
    let is_one = |beside: &mut dyn Iterator<Item = Option<char>>| {
        let in_run = |c: &char| !crate::featurize::units(&c.to_string()).is_empty();
        let beside: BTreeSet<Option<char>> = beside.map(|c| c.filter(in_run)).collect();
        beside.len() == 1 && !beside.contains(&None)
    };
    let places = || texts.iter().flat_map(|text| text.match_indices(word).map(|(at, _)| text.split_at(at)));
    let is_one_before = is_one(&mut places().map(|(before, _)| before.chars().next_back()));
    let is_one_behind = is_one(&mut places().map(|(_, rest)| rest[word.len()..].chars().next()));
    crate::featurize::units(word).len() == 2 && (is_one_before || is_one_behind)
}

#[test]
fn parts_of_a_likeness_are_words_of_the_page() {
    for language in unspaced() {
        let rows = &streams(language)[3];
        let (pipeline, _) = learnt(rows, 4);
        for row in rows.iter().step_by(50) {
            let why = pipeline.explain(&prepare(std::slice::from_ref(row), 0).pages, 0);
            let winner = why.winner.expect("the page is known");
            let sum: f64 = winner.parts.iter().map(|part| part.share).sum();
            assert!((sum - winner.score).abs() < 1e-9, "{winner:?}");
            assert!(winner.parts.iter().all(|part| row[3].contains(&part.term) || row[5].contains(&part.term)), "{winner:?}");
            assert!(winner.parts.len() <= 6, "{winner:?}");
        }
    }
}
