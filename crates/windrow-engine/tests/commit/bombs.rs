//! Files that unpack to far more than pages do: refused where that shows, and read on by whoever says that they are right.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::audit::{audit, job_of};
use crate::rig::Rig;

/// What unpacks to a stretch is looked at.
const STRETCH: usize = 64 << 20;

/// A member of gzip, or a frame of zstd.
fn packed(gzip: bool, content: &[u8]) -> Vec<u8> {
    if !gzip {
        return zstd::encode_all(content, 1).unwrap();
    }
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(content).unwrap();
    member.finish().unwrap()
}

#[test]
fn a_bomb_is_refused_behind_the_rows_before_it_and_read_by_whoever_says_so() {
    for (name, gzip) in [("in/z.csv.gz", true), ("in/z.csv.zst", false)] {
        let mut rig = Rig::new(120);
        rig.run().unwrap();
        let known = rig.state().manifest.counters;
        let header = b"creation_time,id,url,title,keywords,description\n,1,u,t,k,d\n";
        // Many members, one endless line, and a row behind it.
        let line = packed(gzip, &vec![b'x'; 2 << 20]);
        let bytes = [&packed(gzip, header)[..], &line.repeat(STRETCH / (1 << 20)), &packed(gzip, b"\n,2,u,t,k,d\n")].concat();
        std::fs::write(rig.path(name), &bytes).unwrap();

        let error = rig.run().unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-INPUT-BOMB", 1), "{error}");
        assert!(
            error.message.contains(name) && error.hint.as_ref().is_some_and(|hint| hint.contains("max_unpacked")),
            "{error}"
        );
        let before = rig.state().manifest.counters;
        assert_eq!(before.pages, known.pages + 1, "the rows before it are committed");
        let of_bomb = before.n_rejects() - known.n_rejects();
        assert!((1..64).contains(&of_bomb), "{of_bomb} rejects of a bomb");
        assert_eq!(rig.run().unwrap_err().code, "E-INPUT-BOMB", "and once more");

        rig.job.max_unpacked = 0;
        rig.run().unwrap();
        assert_eq!(rig.state().manifest.counters.pages, known.pages + 2);
        // What was read once is passed over and audited whatever the setting is then.
        rig.job.max_unpacked = 500;
        rig.run().unwrap();
        let report = audit(&job_of(&rig)).unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}
