//! What backends got, by call: each call carries its number, and its application answers as the call says.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::answer::Received;
use crate::case::{Application, Call, Mirrors, Name};

/// The header that carries a call's number.
pub(super) const NUMBER: &str = "x-simulate-call";

/// Calls under way.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<HashMap<u64, Record>>);

#[derive(Debug)]
struct Record {
    application: Application,
    mirrors: BTreeSet<Name>,
    received: Vec<Received>,
    copies: Vec<Received>,
}

/// What the application does with one attempt.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) application: Application,
    /// Whether this attempt is one of those that fail, or that do as the call says.
    pub(super) as_told: bool,
}

impl Recorder {
    pub(super) fn expect(&self, number: u64, call: &Call) {
        let mirrors = call.expect.mirrors.as_ref().map(names).unwrap_or_default();
        let record =
            Record { application: call.application.clone(), mirrors, received: Vec::new(), copies: Vec::new() };
        self.lock().insert(number, record);
    }

    /// Notes what a backend got; `None` for a call that nobody makes.
    pub(super) fn received(&self, number: u64, received: Received) -> Option<Turn> {
        let mut calls = self.lock();
        let record = calls.get_mut(&number)?;
        let host = received.head.as_ref().map_or("", |head| head.host.as_str());
        let shadow = host.split(':').next().unwrap_or_default().ends_with("-shadow");
        // A copy is known by its host, or else by who gets it: no call is answered by its mirrors.
        if shadow || received.by.intersection(&record.mirrors).next().is_some() {
            record.copies.push(received);
            return Some(Turn { application: Application::default(), as_told: false });
        }
        record.received.push(received);
        let attempt = u32::try_from(record.received.len()).unwrap_or(u32::MAX);
        let as_told = record.application.failures.is_none_or(|failures| attempt <= failures);
        Some(Turn { application: record.application.clone(), as_told })
    }

    /// How many copies of some calls have arrived.
    pub(super) fn copies(&self, first: u64, count: u32) -> usize {
        let calls = self.lock();
        (first..first + u64::from(count)).filter_map(|number| calls.get(&number)).map(|one| one.copies.len()).sum()
    }

    /// What a call's backends got, and who got copies.
    pub(super) fn take(&self, number: u64) -> (Vec<Received>, Vec<Received>) {
        self.lock().remove(&number).map_or_else(Default::default, |record| (record.received, record.copies))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(mirrors: &Mirrors) -> BTreeSet<Name> {
    match mirrors {
        Mirrors::All(names) => names.iter().cloned().collect(),
        Mirrors::Shares(shares) => shares.keys().cloned().collect(),
    }
}
