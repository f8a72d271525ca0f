//! Hostile configuration from its text to what a proxy decides by it: nothing may panic, hang, or be refused by the
//! proxy that the control plane took.
//!
//! Seeds are real documents; each round changes some of them and runs the whole way. `ORRERY_FUZZ_SECONDS` sets how long
//! (60 without it), `ORRERY_FUZZ_SEED` where it begins: the same seed gives the same rounds.

mod mutate;
mod pipeline;
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// One round may take so long, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

#[test]
fn mutated_configuration_breaks_nothing() {
    let seed = number("ORRERY_FUZZ_SEED").unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(number("ORRERY_FUZZ_SECONDS").unwrap_or(60));
    println!("ORRERY_FUZZ_SEED={seed}");
    let seeds = seeds::all();
    let (mut rounds, mut taken) = (0_u64, 0_u64);
    while Instant::now() < end {
        // Each round has a seed of its own, so that one can be repeated by itself.
        let mut random = SmallRng::seed_from_u64(seed.wrapping_add(rounds));
        let text = mutate::text(&seeds, &mut random);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| pipeline::run(&text, &mut random)));
        let took = begun.elapsed();
        let complaint = match outcome {
            Ok(Ok(objects)) if took <= LONGEST => {
                taken += objects;
                rounds += 1;
                continue;
            }
            Ok(Ok(_)) => format!("it took {took:?}"),
            Ok(Err(refused)) => format!("the proxy refuses what the control plane made of it: {refused}"),
            Err(_panic) => "it panicked, see above".to_owned(),
        };
        let file = std::env::temp_dir().join(format!("orrery-fuzz-{}.yaml", seed.wrapping_add(rounds)));
        let kept = std::fs::write(&file, &text).map(|()| file.display().to_string()).unwrap_or(text);
        panic!("round {rounds} (ORRERY_FUZZ_SEED={}): {complaint}; the input is {kept}", seed.wrapping_add(rounds));
    }
    println!("{rounds} rounds, {taken} objects compiled");
    assert!(
        taken > rounds / 10,
        "most input must get past the parser to test what is behind it: {taken} objects of {rounds} rounds"
    );
}

#[allow(clippy::disallowed_methods, reason = "how a test is run is said in the environment")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}
