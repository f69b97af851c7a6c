use super::*;

fn translated(content: &str) -> Result<BTreeMap<String, String>> {
    translate(&text::parse(content), Path::new("c.properties"))
}

fn refused(content: &str) -> Error {
    let error = translated(content).unwrap_err();
    assert!(error.message.starts_with("c.properties:") && error.hint.is_some(), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn the_form_is_read_as_java_reads_it() {
    let content = "\u{feff}# a comment\n! another\n\n  a = 1 \nb:2\nc 3\nd\\=e = x\\ty\\u00e4\\:\nf = one, \\\n    two\\\n\t, three\ng\nh=\\\\\ni==";
    let found: Vec<_> = text::parse(content).into_iter().map(|one| (one.line, one.key, one.value)).collect();
    let expected = [
        (4, "a", "1"),
        (5, "b", "2"),
        (6, "c", "3"),
        (7, "d=e", "x\tyä:"),
        (8, "f", "one, two, three"),
        (11, "g", ""),
        (12, "h", "\\"),
        (13, "i", "="),
    ];
    assert_eq!(found, expected.map(|(line, key, value)| (line, key.to_owned(), value.to_owned())));
}

#[test]
fn a_login_and_certificates_are_translated() {
    let ca = file(b"some words\n-----BEGIN CERTIFICATE-----\n");
    let content = format!(
        "bootstrap.servers=b:9094\nsecurity.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  username=\"me\" \
         password=\"hun\\\\\"ter 2;\";\nssl.truststore.location={}\nssl.truststore.type=PEM\n\
         ssl.endpoint.identification.algorithm=\nkey.serializer=org.x.Y\nrequest.timeout.ms=4000\nsend.buffer.bytes=-1\n\
         group.id=theirs\n",
        ca.path().display()
    );
    let keys = translated(&content).unwrap();
    let get = |key: &str| keys.get(key).map(String::as_str);
    assert_eq!(get("sasl.username"), Some("me"));
    assert_eq!(get("sasl.password"), Some("hun\"ter 2;"));
    assert_eq!(get("ssl.ca.location"), ca.path().to_str());
    assert_eq!(get("ssl.endpoint.identification.algorithm"), Some("none"));
    assert_eq!((get("socket.timeout.ms"), get("socket.send.buffer.bytes")), (Some("4000"), Some("0")));
    assert_eq!((get("group.id"), get("key.serializer"), keys.len()), (None, None, 9));
}

#[test]
fn a_key_store_is_taken_by_what_it_holds() {
    let keys = |bytes: &[u8], more: &str| {
        let store = file(bytes);
        translated(&format!("ssl.keystore.type=JKS\nssl.keystore.location={}\n{more}", store.path().display()))
    };
    let pkcs12 = keys(b"\x30\x82\x01", "ssl.keystore.password=p\nssl.key.password=q").unwrap();
    assert_eq!(pkcs12["ssl.keystore.password"], "p");
    assert!(pkcs12.contains_key("ssl.keystore.location") && pkcs12.len() == 2, "{pkcs12:?}");
    let pem = keys(b"-----BEGIN PRIVATE KEY-----", "ssl.key.password=q").unwrap();
    assert_eq!((&pem["ssl.certificate.location"], pem["ssl.key.password"].as_str()), (&pem["ssl.key.location"], "q"));
    let jks = keys(b"\xfe\xed\xfe\xed\0", "ssl.keystore.password=hunter2").unwrap_err();
    assert!(jks.hint.unwrap().contains("keytool -importkeystore -srckeystore /"));
    let trust = file(b"\x30\x82\x01");
    let trust = refused(&format!("\nssl.truststore.location={}", trust.path().display()));
    assert!(trust.message.starts_with("c.properties:2: ssl.truststore.location: /"), "{trust}");
    assert!(trust.hint.unwrap().contains("keytool -list -rfc -keystore /"));
}

#[test]
fn what_cannot_be_translated_is_refused_without_its_value() {
    let jaas = |rest: &str| refused(&format!("sasl.jaas.config=org.apache.{rest}")).message;
    assert!(jaas("Krb5LoginModule required keyTab=\"hunter2\";").contains("by Krb5LoginModule, and this program cannot"));
    assert!(jaas("hunter2 required;").contains("another class of Java"));
    assert!(jaas("PlainLoginModule required username=\"me\" password=\"hunter2\"").contains("semicolon"));
    assert!(jaas("PlainLoginModule required password=\"hunter2\";").contains("username=\"…\" is missing"));
    assert!(jaas("PlainLoginModule hunter2 password=\"hunter2\";").contains("`required`"));
    assert!(jaas("ScramLoginModule required tokenauth=true username=a password=hunter2;").contains("delegation token"));
    assert!(refused("sasl.password=${vault:hunter2:x}").message.contains("config providers"));
    assert!(refused("config.providers=hunter2").message.contains("a class of Java"));
    assert!(refused("sasl.login.callback.handler.class=hunter2").message.contains("a class of Java"));
    assert_eq!(
        refused("\n\nsecurity.protocl=hunter2").message,
        "c.properties:3: security.protocl: no such key is known here, or not this value of it"
    );
    assert!(refused("security.protocol=hunter2").hint.is_some());
    assert!(refused("ssl.truststore.location=/none.pem").message.contains("/none.pem cannot be read"));
}
