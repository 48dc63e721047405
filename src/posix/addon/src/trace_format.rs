//! The kernel's own description of its trace records: files `format` and `header_page`. Nothing about their layout is known beforehand.
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub offset: usize,
    pub size: usize,
}

impl Field {
    /// The number in a record, widened without a sign; 0 where the record ends before it.
    pub fn number(self, record: &[u8]) -> u64 {
        let Some(bytes) = record.get(self.offset..self.offset + self.size) else { return 0 };
        match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_ne_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// The bytes of an array of characters, up to its NUL.
    pub fn text(self, record: &[u8]) -> &[u8] {
        let bytes = record.get(self.offset..self.offset + self.size).unwrap_or_default();
        &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())]
    }
}

#[derive(Debug, Default)]
pub struct Format {
    pub id: u16,
    fields: HashMap<String, Field>,
    print: String,
}

impl Format {
    pub fn parse(text: &str) -> Format {
        let mut format = Format::default();
        for line in text.lines() {
            if let Some(id) = line.strip_prefix("ID:") {
                format.id = id.trim().parse().unwrap_or_default();
            } else if let Some(print) = line.strip_prefix("print fmt:") {
                format.print = print.to_owned();
            } else if let Some((name, field)) = field(line) {
                format.fields.insert(name, field);
            }
        }
        format
    }

    pub fn field(&self, name: &str) -> Option<Field> {
        self.fields.get(name).copied()
    }

    /// The value of a flag by the name that the kernel prints for it: `{ (1 << 18), "WRITE" }`.
    pub fn flag(&self, name: &str) -> Option<u64> {
        let end = self.print.find(&format!("\"{name}\""))?;
        let start = self.print[..end].rfind('{')?;
        let value = &self.print[start..end];
        if let Some((_, shift)) = value.split_once("1 << ") {
            let digits: String = shift.chars().take_while(char::is_ascii_digit).collect();
            return 1u64.checked_shl(digits.parse().ok()?);
        }
        let digits: String = value.rsplit_once("0x")?.1.chars().take_while(char::is_ascii_hexdigit).collect();
        u64::from_str_radix(&digits, 16).ok()
    }
}

/// `field:ino_t ino;  offset:40;  size:8;  signed:0;`
fn field(line: &str) -> Option<(String, Field)> {
    let (_, rest) = line.split_once("field:")?;
    let mut parts = rest.split(';');
    let declared = parts.next()?.split('[').next()?.trim_end();
    let name = declared.rsplit([' ', '*']).next()?;
    let mut number = |key: &str| parts.next()?.trim().strip_prefix(key)?.parse().ok();
    let (offset, size) = (number("offset:")?, number("size:")?);
    Some((name.to_owned(), Field { offset, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// as Linux 6.18 has it, and 6.1 the second one
    const DIRTY: &str = "name: writeback_dirty_folio\nID: 1009\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\tfield:char name[32];\toffset:8;\tsize:32;\tsigned:0;\n\tfield:ino_t ino;\toffset:40;\tsize:8;\tsigned:0;\n\tfield:unsigned long index;\toffset:48;\tsize:8;\tsigned:0;\n\nprint fmt: \"bdi %s\", REC->name\n";
    const ITER: &str = "name: iomap_iter\nID: 12\n\tfield:const void * ops;\toffset:48;\tsize:8;\tsigned:0;\nprint fmt: \"%s\", __print_flags(REC->flags, \"|\", { (1 << 0), \"WRITE\" }, { (1 << 4), \"DIRECT\" }, { ( int) (( __kernel_rwf_t)0x00000010), \"APPEND\" })\n";

    #[test]
    fn fields_are_where_the_kernel_says() {
        let format = Format::parse(DIRTY);
        assert_eq!(format.id, 1009);
        assert_eq!(format.field("ino"), Some(Field { offset: 40, size: 8 }));
        assert_eq!(format.field("common_type"), Some(Field { offset: 0, size: 2 }));
        assert_eq!(format.field("nothing"), None);
        let mut record = vec![0; 56];
        record[8..12].copy_from_slice(b"7:12");
        record[40..48].copy_from_slice(&77u64.to_ne_bytes());
        assert_eq!(format.field("ino").map(|field| field.number(&record)), Some(77));
        assert_eq!(format.field("name").map(|field| field.text(&record)), Some(b"7:12".as_slice()));
        assert_eq!(format.field("index").map(|field| field.number(&record[..50])), Some(0), "a record that ends too soon");
    }

    #[test]
    fn flags_are_what_the_kernel_prints_them_as() {
        let format = Format::parse(ITER);
        assert_eq!((format.flag("WRITE"), format.flag("DIRECT"), format.flag("APPEND")), (Some(1), Some(16), Some(16)));
        assert_eq!(format.flag("DAX"), None);
        assert_eq!(format.field("ops"), Some(Field { offset: 48, size: 8 }));
    }

    #[test]
    fn nonsense_is_no_field() {
        for line in ["field:", "field:x;offset:a;size:1;", "field:x;", "x;offset:1;size:2"] {
            assert!(Format::parse(line).fields.is_empty(), "{line}");
        }
    }
}
