//! The process's own figures, read from `/proc/self`. On a system without it, nothing is reported.

/// Figures of this process at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessFigures {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub open_fds: u64,
    /// Seconds since 1970.
    pub start_seconds: f64,
}

/// Kernel constant of every Linux that Rust supports: `/proc` counts CPU time in hundredths.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the figures; `None` where the system does not offer them.
#[allow(clippy::cast_precision_loss)]
pub fn read() -> Option<ProcessFigures> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold anything, so fields count from its closing parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let cpu_seconds = (field(11)? + field(12)?) as f64 / TICKS_PER_SECOND;
    // The kernel's own boot time, not the clock less the uptime: the start must not differ from one read to the next,
    // or it looks as if the process had been started again.
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot: u64 = boot.trim().parse().ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
    Some(ProcessFigures {
        cpu_seconds,
        resident_bytes: kilobytes * 1_024,
        open_fds: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        start_seconds: boot as f64 + field(19)? as f64 / TICKS_PER_SECOND,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn this_process_has_plausible_figures() {
        let figures = read().expect("/proc/self");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(figures.resident_bytes > 100_000 && figures.open_fds >= 3, "{figures:?}");
        assert!(figures.start_seconds <= now + 1.0 && figures.start_seconds > now - 86_400.0, "{figures:?}");
    }

    #[test]
    fn the_start_is_the_same_at_every_read() {
        let first = read().expect("/proc/self").start_seconds;
        assert!((0..100).all(|_| read().expect("/proc/self").start_seconds == first));
    }
}
