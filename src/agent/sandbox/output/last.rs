//! The last a task wrote, for whoever is told of its end.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::{agent::sandbox::beneath::Dir, base::limit};

/// The last lines of `stderr` in a directory of output, of `stdout` where there are none there.
pub fn last(dir: &Path) -> String {
    let Ok(dir) = Dir::open(dir) else { return String::new() };
    let of = |name: &str| {
        let mut file = dir.file(Path::new(name)).ok()?;
        let size = file.metadata().ok()?.len();
        let from = size.saturating_sub(limit::TAIL_BYTES_MAX as u64);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(limit::TAIL_BYTES_MAX as u64).read_to_end(&mut bytes).ok()?;
        let lines = match bytes.iter().position(|byte| *byte == b'\n').filter(|_| from > 0) {
            Some(at) if at + 1 < bytes.len() => &bytes[at + 1..],
            _ => &bytes[..],
        };
        let text = String::from_utf8_lossy(lines).trim_end().to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    of("stderr").or_else(|| of("stdout")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_before_output_and_whole_lines_only() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
        assert_eq!(last(temp.path()), "");
        write("stdout", "said\n");
        write("stderr", "\n");
        assert_eq!(last(temp.path()), "said");
        write("stderr", "FATAL: no\nbye\n");
        assert_eq!(last(temp.path()), "FATAL: no\nbye");
        write("stderr", &format!("first\n{}\nlast\n", "x".repeat(limit::TAIL_BYTES_MAX - 8)));
        assert!(last(temp.path()).starts_with('x') && last(temp.path()).ends_with("last"));
        write("stderr", &format!("a\n{}", "y".repeat(9_999)));
        assert_eq!(last(temp.path()).len(), limit::TAIL_BYTES_MAX, "one long line");
        std::fs::remove_file(temp.path().join("stderr")).unwrap();
        std::os::unix::fs::symlink("/proc/version", temp.path().join("stderr")).unwrap();
        assert_eq!(last(temp.path()), "said", "no link is followed");
    }
}
