//! Headers of messages that were read, whatever their names are made of.
//!
//! Nothing keeps a producer from naming a header with bytes that are no UTF-8, and the safe interface to the library panics on such
//! a name: one message would end every run at the same place. So this file asks the library itself. What of a name is no UTF-8
//! is replaced; values are bytes.

use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings as c;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;

/// Shows name and value of each header of a message to `look`, in order.
pub(crate) fn each<'m>(message: &'m BorrowedMessage<'_>, look: impl FnMut(Cow<'m, str>, Option<&'m [u8]>)) {
    let mut headers = ptr::null_mut();
    #[expect(unsafe_code, reason = "the safe interface panics on names that are no UTF-8")]
    // SAFETY: the message is borrowed for as long as its headers are looked at, and the library writes their place or an error.
    unsafe {
        if c::rd_kafka_message_headers(message.ptr(), &raw mut headers) == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            each_of(headers, look);
        }
    }
}

/// The same for a list of headers.
///
/// # Safety
/// The list is the library's, and lives for `'m` without being changed.
#[expect(unsafe_code, reason = "the safe interface panics on names that are no UTF-8")]
unsafe fn each_of<'m>(headers: *const c::rd_kafka_headers_t, mut look: impl FnMut(Cow<'m, str>, Option<&'m [u8]>)) {
    for at in 0.. {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is alive. The library writes a name that ends with a zero byte and a value of `size` bytes, or null for
        // none, both of which live as long as the list does; behind the last header it says that there is none.
        unsafe {
            let found = c::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut size);
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast(), size));
            look(CStr::from_ptr(name).to_string_lossy(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers as the library keeps them; names have no zero byte.
    fn seen(headers: &[(&[u8], Option<&[u8]>)]) -> Vec<(String, Option<Vec<u8>>)> {
        let mut seen = Vec::new();
        #[expect(unsafe_code, reason = "no message without a broker has headers")]
        // SAFETY: the library copies names and values, of the sizes given; the list is freed once, behind its last use.
        unsafe {
            let list = c::rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                let (place, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr().cast(), value.len().cast_signed()));
                c::rd_kafka_header_add(list, name.as_ptr().cast(), name.len().cast_signed(), place, size);
            }
            each_of(list, |name, value| seen.push((name.into_owned(), value.map(<[u8]>::to_vec))));
            c::rd_kafka_headers_destroy(list);
        }
        seen
    }

    #[test]
    fn names_and_values_of_any_bytes_are_seen() {
        let given: [(&[u8], Option<&[u8]>); 5] =
            [(b"a", Some(b"1")), (b"caf\xe9", Some(b"\xff\0")), (b"", Some(b"")), (b"a", None), ("é".as_bytes(), Some(b"2"))];
        let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let expected = given.map(|(key, value)| (name(key), value.map(<[u8]>::to_vec)));
        assert_eq!(seen(&given), expected);
        assert_eq!(expected[1].0, "caf\u{fffd}");
        assert_eq!(seen(&[]), []);
    }
}
