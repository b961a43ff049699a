//! The older text format out of OpenMetrics: the library writes only the newer one, and `promtool` and many a scraper
//! read only the older.
//!
//! They differ in the comments alone: a counter's name has its `_total` there too, an info is a gauge, and there are no
//! units and no end.

/// Rewrites a page.
pub(super) fn of_openmetrics(page: &str) -> String {
    let mut text = String::with_capacity(page.len() + page.len() / 8);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (kind, name, rest) = (words.next(), words.next(), words.next());
        // The help comes ahead of the type, which says what the name is.
        if let (Some("HELP"), Some(name), Some(help)) = (kind, name, rest)
            && let Some(of_type) = lines.next()
            && let Some((_, of)) = of_type.rsplit_once(' ')
        {
            let (suffix, of) = match of {
                "counter" => ("_total", of),
                "info" => ("_info", "gauge"),
                of => ("", of),
            };
            text.push_str(&format!(
                "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {of}\n"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_comments_are_those_of_the_samples() {
        let page = "# HELP a_b Some jobs.\n# TYPE a_b counter\na_b_total{x=\"1\"} 5\n\
                    # HELP c_seconds Time.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 1.5\n\
                    # HELP d Build.\n# TYPE d info\nd_info{version=\"1\"} 1\n# EOF\n";
        let expected = "# HELP a_b_total Some jobs.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 5\n\
                        # HELP c_seconds Time.\n# TYPE c_seconds gauge\nc_seconds 1.5\n\
                        # HELP d_info Build.\n# TYPE d_info gauge\nd_info{version=\"1\"} 1\n";
        assert_eq!(of_openmetrics(page), expected);
    }
}
