//! Whether the addresses that brokers tell us to use lead anywhere.
//!
//! The address given and the address advertised are two: a broker behind a port map or in a container's network answers at the first
//! and sends its clients to the second. librdkafka goes there in silence and times out much later, so we knock first.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long one knock may take.
const KNOCK: Duration = Duration::from_secs(2);

/// Why nobody can be reached at `HOST:PORT`; none when somebody answers.
pub(super) fn refusal(address: &str) -> Option<String> {
    let Ok(found) = address.to_socket_addrs() else { return Some("does not resolve here".into()) };
    let mut why = "does not resolve here".to_owned();
    for socket in found {
        match TcpStream::connect_timeout(&socket, KNOCK) {
            Ok(_) => return None,
            Err(error) => why = format!("cannot be reached from here: {}", plain(&error)),
        }
    }
    Some(why)
}

/// The system's words without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_answers_and_what_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(refusal(&address), None);
        drop(listener);
        assert_eq!(refusal(&address).as_deref(), Some("cannot be reached from here: connection refused"));
        assert_eq!(refusal("no-such-host.invalid:9092").as_deref(), Some("does not resolve here"));
    }
}
