//! Any of the targets of `windrow_engine::fuzz`, under LLVM's fuzzer. `WINDROW_FUZZ_TARGET` says which; without it their names are
//! printed. What it begins with is written into the folder `WINDROW_FUZZ_SEEDS`.
#![no_main]

use std::sync::LazyLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;
use windrow_engine::fuzz::{TARGETS, Target, target};

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let Ok(name) = env::var("WINDROW_FUZZ_TARGET") else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        process::exit(0);
    };
    target(&name).unwrap_or_else(|| panic!("no target is called {name}"))
});

fuzz_target!(
    init: {
        let seeds = CHOSEN.seeds;
        if let Some(folder) = env::var_os("WINDROW_FUZZ_SEEDS") {
            for (number, seed) in seeds.iter().enumerate() {
                fs::write(std::path::Path::new(&folder).join(format!("seed-{number}")), seed).expect("the folder is there");
            }
        }
    },
    |bytes: &[u8]| (CHOSEN.run)(bytes)
);
