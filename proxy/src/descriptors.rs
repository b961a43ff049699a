//! File descriptors: each miner's connection takes one, and the system grants a process only so many.

use crate::config::Config;

/// Warns where the system grants fewer than the config lets miners in.
pub(crate) fn warn_of_few(config: &Config) {
    // Where it cannot be read nothing is known, and a connection that fails is told then.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let max_miners = config.limits.max_miners;
    if let Some(limit) = soft_limit(&limits)
        && limit < max_miners
    {
        log::warn!(
            "only {limit} files may be open, and limits.max_miners is {max_miners}: raise LimitNOFILE of the service \
             (or `ulimit -n`), or lower max_miners"
        );
    }
}

/// Finds the soft limit in the text of `/proc/self/limits`; `None` also where there is none.
fn soft_limit(limits: &str) -> Option<usize> {
    let mut lines = limits.lines();
    let values = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    values.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let head = "Limit                     Soft Limit           Hard Limit           Units\n";
        let limits = format!(
            "{head}Max open files            1024                 524288               files\n"
        );
        assert_eq!(soft_limit(&limits), Some(1_024));
        let limits = format!(
            "{head}Max open files            unlimited            unlimited            files\n"
        );
        assert_eq!(soft_limit(&limits), None);
        assert_eq!(soft_limit(""), None);
    }
}
