//! What the kernel says of processes: CPU time and resident memory.
//!
//! Called by `probe` and by the scenario `soak`.

use std::fs;

use anyhow::{Context, Result};

/// Linux counts CPU time for programs in hundredths of a second, whatever its own clock is.
const TICKS: f64 = 100.0;

/// What one process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system, since it started.
    pub(crate) cpu: f64,
    /// KiB resident now.
    pub(crate) resident: u64,
    /// The most KiB resident since it was last forgotten.
    pub(super) peak: u64,
}

/// What a process has used.
///
/// # Errors
/// When there is no such process.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The program's name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: Vec<f64> =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let memory = |name: &str| kib(name).with_context(|| format!("process {pid} has no {name}"));
    Ok(Usage { cpu: ticks.iter().sum::<f64>() / TICKS, resident: memory("VmRSS")?, peak: memory("VmHWM")? })
}

/// Starts the peak of a process's memory anew from what it has now.
///
/// # Errors
/// When it is not our own, or gone.
pub(super) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").with_context(|| format!("process {pid}"))
}

/// Seconds of CPU that all of the machine's cores have worked since it started.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn busy() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal, and guests, which user already has.
    let fields: Vec<f64> = first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let worked = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at));
    Ok(worked.sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let before = usage(std::process::id()).unwrap();
        let filled = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = usage(std::process::id()).unwrap();
        assert!(after.peak >= before.resident + (60 << 10), "{before:?}, {after:?}");
        assert!(after.cpu >= before.cpu && after.resident <= after.peak, "{before:?}, {after:?}");
        drop(filled);
        forget_peak(std::process::id()).unwrap();
        assert!(usage(std::process::id()).unwrap().peak < after.peak);
        assert!(usage(u32::MAX).is_err());
        assert!(busy().unwrap() > 0.0);
    }
}
