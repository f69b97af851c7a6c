//! Why a broker's certificate was refused: its signature, or its name.
//!
//! librdkafka says "certificate verify failed" for both. So we connect once more without looking at the name: if the certificate is
//! then taken, it was the name. Nothing is asked of that broker and no secret is shown to it: the second connection has no login.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::trouble;
use super::watcher::{self, Watcher};

/// How long the second connection may take: so many looks, of so long.
const STEPS: usize = 10;
const STEP: Duration = Duration::from_millis(250);

/// Keys of the login, and of the certificate that says who we are.
const OURS: [&str; 13] = [
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
];

/// Whether the certificate is fine but for the name.
pub(super) fn is_of_another_host(config: &ClientConfig) -> bool {
    let mut config = config.clone();
    for key in OURS {
        config.remove(key);
    }
    config.set("security.protocol", "ssl").set("ssl.endpoint.identification.algorithm", "none");
    let watcher = Watcher::of(&config);
    let Ok(consumer) = config.create_with_context::<_, BaseConsumer<Watcher>>(watcher.clone()) else { return false };
    for _ in 0..STEPS {
        if consumer.fetch_metadata(None, STEP).is_ok() {
            return true;
        }
        watcher::hear(&consumer);
        let said = watcher.said();
        if trouble::is_certificate(&said, watcher.asked()) {
            return false;
        }
        // A broker that ended the connection for want of a login had shown its certificate before.
        if trouble::is_past_tls(&said, watcher.asked()) {
            return true;
        }
    }
    // Silence proves nothing.
    false
}
