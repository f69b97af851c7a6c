//! Streams of headlines in scripts that write no spaces, and in those that run from right to left: groups are found as in English, and
//! their labels are words that somebody wrote.

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
        assert!(words > 0.6, "{}: {words:.2} of the words of labels are whole", language.name);
    }
}

/// How well the themes of a language agree with its stories, and how many of the words of labels are as they were written.
fn found(language: &Language) -> (f64, f64) {
    let (rows, stories) = headlines(language, 1_200);
    let settings = ModelSettings { clusters: 4.into(), ..ModelSettings::default() };
    let mut pipeline = Pipeline::new(&settings).expect("the default model is known");
    let mut outcome = Outcome::default();
    pipeline.learn(&prepare(&rows, 0), &mut outcome);
    let micro: Vec<u64> = outcome.decisions.iter().map(|decision| decision.micro_cluster).collect();
    let phrases: Vec<&str> = language.stories.iter().flat_map(|story| story.split(' ')).collect();
    let labels: Vec<String> = pipeline.view().clusters.into_iter().map(|cluster| cluster.label).collect();
    let words: Vec<&str> = labels.iter().flat_map(|label| label.split(", ")).collect();
    let whole = words.iter().filter(|word| phrases.contains(word)).count();
    (score(&stories, &micro).nmi_geometric, whole as f64 / words.len() as f64)
}
