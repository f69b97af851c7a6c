//! The language of a bag of words, for labels: found per micro-cluster from its heaviest terms, never per row (identification costs
//! some 70 us, a row some 2).

use whatlang::{Detector, Lang};

/// Letters below which a text in Latin or Cyrillic letters could be anything.
const MIN_LETTERS: usize = 12;

/// ISO 639-1 code (639-3 where there is none) of the language that `text` is most likely in; `None` when there is too little to say.
pub fn language_of(text: &str) -> Option<&'static str> {
    // Taken for one of these, a bag of product names is a mistake far more often than not.
    const RARE: [Lang; 7] = [Lang::Epo, Lang::Lat, Lang::Aka, Lang::Zul, Lang::Sna, Lang::Jav, Lang::Tuk];
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let info = Detector::with_denylist(RARE.to_vec()).detect(text)?;
    let alone = !matches!(info.script(), whatlang::Script::Latin | whatlang::Script::Cyrillic);
    (alone || letters >= MIN_LETTERS).then(|| code(info.lang()))
}

fn code(lang: Lang) -> &'static str {
    // In the order of whatlang's codes; a code without a shorter form stays as it is.
    const SHORT: [(&str, &str); 69] = [
        ("afr", "af"),
        ("aka", "ak"),
        ("amh", "am"),
        ("ara", "ar"),
        ("aze", "az"),
        ("bel", "be"),
        ("ben", "bn"),
        ("bul", "bg"),
        ("cat", "ca"),
        ("ces", "cs"),
        ("cmn", "zh"),
        ("cym", "cy"),
        ("dan", "da"),
        ("deu", "de"),
        ("ell", "el"),
        ("eng", "en"),
        ("epo", "eo"),
        ("est", "et"),
        ("fin", "fi"),
        ("fra", "fr"),
        ("guj", "gu"),
        ("heb", "he"),
        ("hin", "hi"),
        ("hrv", "hr"),
        ("hun", "hu"),
        ("hye", "hy"),
        ("ind", "id"),
        ("ita", "it"),
        ("jav", "jv"),
        ("jpn", "ja"),
        ("kan", "kn"),
        ("kat", "ka"),
        ("khm", "km"),
        ("kor", "ko"),
        ("lat", "la"),
        ("lav", "lv"),
        ("lit", "lt"),
        ("mal", "ml"),
        ("mar", "mr"),
        ("mkd", "mk"),
        ("mya", "my"),
        ("nep", "ne"),
        ("nld", "nl"),
        ("nob", "no"),
        ("ori", "or"),
        ("pan", "pa"),
        ("pes", "fa"),
        ("pol", "pl"),
        ("por", "pt"),
        ("ron", "ro"),
        ("rus", "ru"),
        ("sin", "si"),
        ("slk", "sk"),
        ("slv", "sl"),
        ("sna", "sn"),
        ("spa", "es"),
        ("srp", "sr"),
        ("swe", "sv"),
        ("tam", "ta"),
        ("tel", "te"),
        ("tgl", "tl"),
        ("tha", "th"),
        ("tuk", "tk"),
        ("tur", "tr"),
        ("ukr", "uk"),
        ("urd", "ur"),
        ("uzb", "uz"),
        ("vie", "vi"),
        ("zul", "zu"),
    ];
    let long = lang.code();
    SHORT.binary_search_by_key(&long, |&(long, _)| long).map_or(long, |at| SHORT[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bags_of_words() {
        for (text, expected) in [
            ("ständig zeitung nachrichten wirtschaft regierung münchen straße", "de"),
            ("trump says white house health workers should know about their children", "en"),
            ("भागो पापा वीडियो समाचार", "hi"),
            ("智能 選股 技嘉 欣興", "zh"),
            ("東京 タワー ニュース です ます", "ja"),
            ("новости правительство россии экономика", "ru"),
            ("한국어 뉴스 경제", "ko"),
        ] {
            assert_eq!(language_of(text), Some(expected), "{text}");
        }
        assert_eq!(language_of("php"), None);
        assert_eq!(language_of(""), None);
        assert_eq!(language_of("4711"), None);
    }

    #[test]
    fn codes_are_short_where_they_can_be() {
        for lang in Lang::all() {
            assert!(code(*lang).len() == 2 || *lang == Lang::Yid, "{lang:?}");
        }
    }
}
