//! Changed ranges of an open file: made clean, then what they hold now.
use crate::background::{Background, background};
use crate::errno::Result;
use crate::sys::{next_data, stat, sync_range};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use std::os::fd::RawFd;

/// Writes the pages of the ranges (offset, length) back, so that a later store is noticed, and gives the size of the file then, and the
/// runs of data that lie in the ranges (offset, length): numbers in one row.
#[napi]
pub fn settle_ranges(fd: i32, ranges: Vec<f64>) -> AsyncTask<Background<Vec<f64>>> {
    background(move || settle(fd, &ranges))
}

fn settle(fd: RawFd, ranges: &[f64]) -> Result<Vec<f64>> {
    let ranges: Vec<(u64, u64)> = ranges.as_chunks::<2>().0.iter().map(|[offset, length]| (*offset as u64, *length as u64)).collect();
    // all on their way before the first is waited for
    for wait in [false, true] {
        for (offset, length) in ranges.iter().filter(|(_, length)| *length > 0) {
            sync_range(fd, *offset, *length, wait)?;
        }
    }
    // after the cleaning, which waits for whoever is writing just now: what grew has its size
    let size = stat(fd, b"")?.stx_size;
    let mut out = vec![size as f64];
    for (offset, length) in ranges {
        let end = offset.saturating_add(length).min(size);
        let mut at = offset;
        while at < end {
            let Some((from, to)) = next_data(fd, at, end)? else { break };
            out.extend([from as f64, (to - from) as f64]);
            at = to;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn data_of_the_ranges_alone_is_told_with_the_size_of_now() {
        let place = std::env::temp_dir().join(format!("landfall-settle-{}", std::process::id()));
        let made = (|| -> std::io::Result<std::fs::File> {
            let mut file = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&place)?;
            file.write_all(&[1; 8192])?;
            file.seek(SeekFrom::Start(1 << 20))?;
            file.write_all(&[2; 5000])?;
            Ok(file)
        })();
        let _ = std::fs::remove_file(&place);
        let Ok(file) = made else { panic!("no temporary file") };
        let size = (1u64 << 20) as f64 + 5000.0;
        let found = settle(file.as_raw_fd(), &[4096.0, 65536.0, 1048576.0, 1e12, 2e12, 4096.0]);
        assert_eq!(found, Ok(vec![size, 4096.0, 4096.0, 1048576.0, 5000.0]));
        assert_eq!(settle(file.as_raw_fd(), &[]), Ok(vec![size]));
    }
}
