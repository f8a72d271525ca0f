//! What a served connection is doing, written by the connection at no cost and read by a sweeper.
//!
//! A timer per request would cost more than the whole check: instead the connection stores a phase
//! and the sweeper compares ticks about once a second. It knows nothing of HTTP itself.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing: no request is under way.
    Idle = 0,
    /// A request's head has begun to arrive.
    Head = 1,
    /// At least one request is being served.
    Busy = 2,
}

/// What the connection has been told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Command {
    Run = 0,
    /// Finish what is under way, then close (HTTP/1 `connection: close`, HTTP/2 GOAWAY).
    Drain = 1,
    /// Close now.
    Abort = 2,
}

/// Shared between a connection and its sweeper.
#[derive(Debug, Default)]
pub struct Activity {
    phase: AtomicU8,
    /// The sweeper's tick at which it first saw the present phase; 0: not seen yet.
    seen: AtomicU32,
    command: AtomicU8,
    active: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Bytes arrived: an idle connection begins a head.
    pub fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Head);
        }
    }

    /// A request's head is complete.
    pub fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Busy);
    }

    /// A request and its answer are over.
    pub fn end(&self) {
        if self.active.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.enter(Phase::Idle);
        }
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.seen.store(0, Ordering::Relaxed);
    }

    /// For how many ticks the sweeper has seen the present phase. Called once per tick; `tick` starts at 1.
    pub fn ticks_in_phase(&self, tick: u32) -> u32 {
        match self.seen.load(Ordering::Relaxed) {
            0 => {
                self.seen.store(tick, Ordering::Relaxed);
                0
            }
            since => tick.saturating_sub(since),
        }
    }

    /// What the connection must do now.
    pub fn command(&self) -> Command {
        match self.command.load(Ordering::Relaxed) {
            0 => Command::Run,
            1 => Command::Drain,
            _ => Command::Abort,
        }
    }

    /// Gives a command and wakes the connection; a weaker one than before is ignored.
    pub fn tell(&self, command: Command) {
        if self.command.fetch_max(command as u8, Ordering::Relaxed) < command as u8
            && let Some(waker) = self.lock().take()
        {
            waker.wake();
        }
    }

    /// Remembers whom to wake; called by the connection each time it is polled.
    pub fn watch(&self, cx: &Context<'_>) {
        let mut slot = self.lock();
        match slot.as_ref() {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(_) | None => *slot = Some(cx.waker().clone()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_a_request() {
        let activity = Activity::new();
        assert_eq!(activity.phase(), Phase::Idle);
        assert_eq!(activity.ticks_in_phase(5), 0);
        assert_eq!(activity.ticks_in_phase(8), 3);
        activity.received();
        assert_eq!((activity.phase(), activity.ticks_in_phase(9)), (Phase::Head, 0));
        activity.begin();
        activity.begin();
        activity.end();
        assert_eq!(activity.phase(), Phase::Busy);
        activity.end();
        assert_eq!(activity.phase(), Phase::Idle);
    }

    #[test]
    fn commands_only_get_stronger() {
        let activity = Activity::new();
        activity.tell(Command::Abort);
        activity.tell(Command::Drain);
        assert_eq!(activity.command(), Command::Abort);
    }
}
