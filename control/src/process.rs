//! The process's own processor time and memory, from `/proc/self`. Elsewhere than on Linux: nothing.

use std::fs;

use crate::metrics::{Family, Metrics};

/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sets the `process_*` metrics.
pub(crate) fn measure(metrics: &Metrics) {
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(seconds) = cpu_seconds(&stat)
    {
        metrics.set(Family::ProcessCpu, &[], seconds);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status")
        && let Some(bytes) = resident_bytes(&status)
    {
        metrics.set(Family::ProcessMemory, &[], bytes);
    }
}

/// Fields 14 and 15 of proc_pid_stat(5). The name before them, in parentheses, may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("junk"), None);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("VmRSS:\tmuch\n"), None);
    }
}
