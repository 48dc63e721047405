//! Pages of a trace ring buffer: a header (time, length with flags), then records whose first word has type and length
//! (`events/header_event` of tracefs describes them).
use crate::trace_format::{Field, Format};

/// In the header's length: records before this page were lost.
const MISSED: u64 = 1 << 31;
const LENGTH: u64 = (1 << 27) - 1;
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;

/// Where a page's parts are, from `events/header_page`.
#[derive(Clone, Copy, Debug)]
pub struct PageLayout {
    commit: Field,
    data_at: usize,
}

impl PageLayout {
    pub fn parse(text: &str) -> Option<PageLayout> {
        let format = Format::parse(text);
        Some(PageLayout { commit: format.field("commit")?, data_at: format.field("data")?.offset })
    }

    /// Calls `each` for every record of the page. False when records were lost before it, or when it cannot be understood to its end.
    #[must_use]
    pub fn records(&self, page: &[u8], mut each: impl FnMut(&[u8])) -> bool {
        let commit = self.commit.number(page);
        let Some(mut rest) = page.get(self.data_at..).and_then(|data| data.get(..(commit & LENGTH) as usize)) else { return false };
        while let Some(head) = word(rest, 0) {
            let kind = head & 31;
            let (record_at, length): (usize, _) = match kind {
                // the rest of the page is empty
                PADDING if head >> 5 == 0 => break,
                // an event that was taken back
                PADDING => (4, word(rest, 4).map(|length| length as usize)),
                TIME_EXTEND | TIME_STAMP => (4, Some(4)),
                // the length has a word of its own, and counts it
                0 => (8, word(rest, 4).and_then(|length| (length as usize).checked_sub(4))),
                words => (4, Some(words as usize * 4)),
            };
            let Some(record) = length.and_then(|length| rest.get(record_at..record_at.checked_add(length)?)) else { return false };
            if kind < PADDING {
                each(record);
            }
            rest = &rest[record_at + record.len()..];
        }
        commit & MISSED == 0
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";

    fn page(words: &[u32], flags: u64) -> Vec<u8> {
        let mut page = vec![0u8; 8];
        page.extend_from_slice(&(words.len() as u64 * 4 | flags).to_ne_bytes());
        words.iter().for_each(|word| page.extend_from_slice(&word.to_ne_bytes()));
        page.resize(4096, 0xee);
        page
    }

    fn read(page: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut found = Vec::new();
        let whole = PageLayout::parse(HEADER).is_some_and(|layout| layout.records(page, |record| found.push(record.to_vec())));
        (found, whole)
    }

    #[test]
    fn short_and_long_records_are_found_between_times_and_padding() {
        let words = [2 | 100 << 5, 0x11, 0x22, 30 | 5 << 5, 1, 29 | 1 << 5, 8, 0xdead, 3 << 5, 12, 0x33, 0x44, 31, 9, 29, 0xbad];
        let (found, whole) = read(&page(&words, 0));
        assert!(whole);
        assert_eq!(found, [[0x11, 0, 0, 0, 0x22, 0, 0, 0], [0x33, 0, 0, 0, 0x44, 0, 0, 0]]);
    }

    #[test]
    fn a_page_behind_lost_records_says_so_and_is_read() {
        let (found, whole) = read(&page(&[1, 7], MISSED));
        assert_eq!((found.len(), whole), (1, false));
    }

    #[test]
    fn a_page_that_makes_no_sense_counts_as_a_loss() {
        for words in [vec![28, 0], vec![0, 3, 0], vec![0, 4000], vec![29 | 1 << 5, u32::MAX]] {
            assert!(!read(&page(&words, 0)).1, "{words:?}");
        }
        assert!(!read(&[0; 10]).1);
        let mut too_long = page(&[1, 1], 0);
        too_long[8..16].copy_from_slice(&5000u64.to_ne_bytes());
        assert!(!read(&too_long).1);
    }
}
