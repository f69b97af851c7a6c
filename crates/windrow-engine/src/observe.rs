//! OBSERVE: events, counters and the View that others read.
