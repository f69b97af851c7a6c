//! The line in which Java's clients keep a login:
//! `org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="…";`

use super::wrong;
use crate::error::{Error, Result};

/// Who logs in. Neither printed nor compared.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Reads the line.
pub(super) fn login(line: &str) -> Result<Login> {
    let words = words(line).ok_or_else(|| unreadable("a quote or the last semicolon is missing"))?;
    let [module, flag, options @ ..] = words.as_slice() else { return Err(unreadable("it is too short")) };
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.to_lowercase().as_str()) {
        return Err(unreadable("`required` does not follow the class"));
    }
    let class = module.rsplit('.').next().unwrap_or_default();
    if !["PlainLoginModule", "ScramLoginModule"].contains(&class) {
        let known = ["Krb5LoginModule", "OAuthBearerLoginModule", "IAMLoginModule"].into_iter().find(|known| *known == class);
        return Err(wrong(format!("it logs in by {}, and this program cannot", known.unwrap_or("another class of Java")))
            .hint(
                "PlainLoginModule and ScramLoginModule are read; for others set librdkafka's own keys in the settings file",
            ));
    }
    let option = |name: &str| options.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    if option("tokenauth").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(
            wrong("it logs in by a delegation token, and this program cannot".into()).hint("give a user name and a password")
        );
    }
    match (option("username"), option("password")) {
        (Some(user), Some(password)) => Ok(Login { user, password }),
        (None, _) => Err(unreadable("username=\"…\" is missing")),
        (_, None) => Err(unreadable("password=\"…\" is missing")),
    }
}

/// The words before the semicolon; quotes hold blanks together. None when a quote or the semicolon is missing.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), line.chars());
    loop {
        match chars.next()? {
            quote @ ('"' | '\'') => loop {
                match chars.next()? {
                    end if end == quote => break,
                    '\\' => word.push(chars.next()?),
                    c => word.push(c),
                }
            },
            ';' => break,
            c if c.is_whitespace() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    Some(words)
}

fn unreadable(why: &str) -> Error {
    wrong(format!("it cannot be read: {why}")).hint(
        "it looks like this: org.apache.kafka.common.security.scram.ScramLoginModule required username=\"…\" password=\"…\";",
    )
}
