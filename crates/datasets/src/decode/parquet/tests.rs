use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/parquet/", $name, ".parquet")).as_slice()
    };
}

fn open(bytes: &'static [u8]) -> Table {
    Table::open(&Blob::memory(bytes)).expect("a table")
}

/// A column as text, absent values as a point.
fn column(table: &Table, name: &str) -> Vec<String> {
    let column = table.column(table.find(name).expect("a column")).expect("readable");
    let pages = (0..column.pages()).map(|page| column.read(page).expect("readable"));
    let show = |value: Value<'_>| match value {
        Value::Absent => ".".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    pages.flat_map(|page| (0..page.len()).map(|row| show(page.get(row))).collect::<Vec<_>>()).collect()
}

/// The values are those of the recipe beside the files.
#[test]
fn every_codec_encoding_and_page_version_gives_the_same_values() {
    let rows = 0..300i64;
    let i64s = rows.clone().map(|i| if i % 11 == 3 { ".".into() } else { ((i * i) << 20).to_string() });
    let text = |i: i64| if i % 13 == 5 { ".".into() } else { "t".repeat(i as usize % 5) + &i.to_string() };
    let expected = [
        ("i32", rows.clone().map(|i| (i * 7 - 50).to_string()).collect::<Vec<_>>()),
        ("i64", i64s.collect()),
        ("text", rows.clone().map(text).collect()),
        ("few", rows.map(|i| if i % 3 != 0 { "cat".into() } else { "dog".to_owned() }).collect()),
    ];
    for bytes in [fixture!("plain"), fixture!("snappy"), fixture!("gzip"), fixture!("zstd"), fixture!("delta")] {
        let table = open(bytes);
        assert_eq!((table.rows(), table.footer.groups.len()), (300, 3));
        for (name, values) in &expected {
            assert_eq!(&column(&table, name), values, "{name}");
        }
        let few = table.find("few").and_then(|few| table.column(few).ok()).expect("a column");
        let read: Vec<_> = [0, 129, 130, 299].map(|row| few.page_of(row)).into_iter().collect();
        assert!(read.iter().all(Option::is_some) && few.page_of(300).is_none() && few.pages() >= 3, "{read:?}");
    }
}

#[test]
fn what_is_not_read_is_said() {
    let table = open(fixture!("plain"));
    let refused = |name: &str| table.column(table.find(name).expect("a column")).expect_err("not read");
    assert!(refused("real").contains("\"real\" holds neither"), "{}", refused("real"));
    assert!(refused("many.list.element").contains("holds lists"));
    assert!(table.column(6).is_err_and(|what| what.contains("there are 6")));
    let brotli = open(fixture!("brotli"));
    let error = brotli.column(0).and_then(|column| column.read(0).map(drop)).expect_err("not read");
    assert!(error.contains("codec 4 (Brotli)"), "{error}");
}

#[test]
fn cut_files_are_errors() {
    let whole = fixture!("snappy");
    for length in 0..whole.len() {
        assert!(Table::open(&Blob::memory(&whole[..length])).is_err(), "{length}");
    }
    let blob = Blob::memory([b"PAR1".as_slice(), &[0; 8], &[4, 0, 0, 0], b"PARE"].concat());
    assert!(Table::open(&blob).is_err_and(|what| what.contains("encrypted")));
}

/// The count of rows in the footer, and the sizes in the header of a page, are the only ones that memory is asked for by.
#[test]
fn lying_sizes_are_refused() {
    let page = |piece: footer::Piece, bytes: &'static [u8]| {
        let groups = [(piece.values, &piece)];
        Column::open(&Blob::memory(bytes), Stored::I64, 0, groups.into_iter()).map(|column| column.pages())
    };
    // Header: data page of 2^31 - 1 bytes in 2 packed ones, one value, plain.
    const LYING: &[u8] =
        &[0x15, 0, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 4, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0, 0, 0];
    let piece = footer::Piece { codec: 2, values: 1, start: 0, length: LYING.len() as u64 };
    assert!(page(piece.clone(), LYING).is_err_and(|what| what.contains("2 bytes cannot hold a page of 2147483647")));
    assert!(page(footer::Piece { length: 9, ..piece.clone() }, LYING).is_err());
    assert!(page(footer::Piece { values: 9, ..piece }, LYING).is_err());
}
