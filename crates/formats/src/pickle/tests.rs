use super::*;

/// Knows one name, `fractions.Fraction`, whose calls are kept.
struct Fractions(Vec<(i64, i64)>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Fraction;

impl Vocabulary for Fractions {
    type Name = Fraction;
    type Object = usize;
    const OLD_STRINGS_ARE_BYTES: bool = true;
    const CONTENT: &'static str = "fractions";

    fn named(module: &str, name: &str) -> Option<Fraction> {
        ((module, name) == ("fractions", "Fraction")).then_some(Fraction)
    }

    fn reduce(
        &mut self,
        _tables: &mut TablesOf<Self>,
        _name: Fraction,
        arguments: &[ValueOf<Self>],
    ) -> Result<ValueOf<Self>, String> {
        match arguments {
            [Value::Integer(above), Value::Integer(below)] => {
                self.0.push((*above, *below));
                Ok(Value::Object(self.0.len() - 1))
            }
            _ => Err("two numbers expected".to_owned()),
        }
    }

    fn build(&mut self, _: &TablesOf<Self>, _: &ValueOf<Self>, _: &ValueOf<Self>) -> Result<(), String> {
        Err("a fraction has no state".to_owned())
    }
}

fn refused(bytes: &[u8]) -> PickleError {
    match read(bytes, &mut Fractions(Vec::new())) {
        Ok(pickle) => panic!("read {pickle:?}"),
        Err(error) => error,
    }
}

fn malformed(bytes: &[u8]) -> String {
    match refused(bytes) {
        PickleError::Malformed(what) => what,
        other => panic!("{other:?}"),
    }
}

/// `pickle.dumps({"half": Fraction(1, 2), b"x": [-5, True, "é"]}, 4)`, a string of Python 2, and bytes behind its end.
const MIXED: &[u8] = b"\x80\x04}(\x8c\x04half\x8c\x09fractions\x8c\x08Fraction\x93K\x01K\x02\x86R\
    C\x01x](J\xfb\xff\xff\xff\x88\x8c\x02\xc3\xa9eU\x02\xff\xfeNu.behind";

#[test]
fn values_of_every_kind_are_read() {
    let mut vocabulary = Fractions(Vec::new());
    let pickle = read(MIXED, &mut vocabulary).expect("valid");
    assert_eq!((vocabulary.0.as_slice(), pickle.length), (&[(1, 2)][..], MIXED.len() - 6));
    let Value::Dict(place) = pickle.result else { panic!("{:?}", pickle.result) };
    let [(half, fraction), (x, list), (old, none)] = pickle.tables.dicts[place].as_slice() else {
        panic!("three pairs")
    };
    assert!(matches!((half, fraction), (Value::Text(text), Value::Object(0)) if text.as_ref() == "half"));
    assert!(matches!(x, Value::Bytes(range) if &MIXED[range.clone()] == b"x"));
    assert!(matches!((old, none), (Value::Bytes(range), Value::None) if MIXED[range.clone()] == [0xff, 0xfe]));
    let [number, truth, text] = pickle.tables.items(list).expect("a list") else { panic!("three items") };
    assert!(matches!((number, truth), (Value::Integer(-5), Value::Bool(true))));
    assert!(matches!(text, Value::Text(text) if text.as_ref() == "é"));
}

#[test]
fn every_cut_is_an_error() {
    for length in 0..MIXED.len() - 6 {
        assert!(matches!(refused(&MIXED[..length]), PickleError::Malformed(_)), "{length} bytes");
    }
}

#[test]
fn what_is_not_on_the_list_is_refused_by_name() {
    assert_eq!(refused(b"\x80\x02cos\nsystem\n."), PickleError::Forbidden("os.system".to_owned()));
    assert_eq!(refused(b"cfractions\ngcd\n."), PickleError::Forbidden("fractions.gcd".to_owned()));
    for (bytes, what) in [
        (&b"\x80\x02cfractions\nFraction\n)R."[..], "two numbers expected (byte 24"),
        (b"\x80\x02cfractions\nFraction\n)b.", "a fraction has no state"),
        (b"\x80\x02K\x01Q.", "something kept outside of the file, which fractions do not need"),
        (b"\x80\x02i", "instruction 0x69, which fractions do not need"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "the file ends"),
        (b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "the file ends"),
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "text that is not UTF-8"),
    ] {
        let found = malformed(bytes);
        assert!(found.contains(what), "{found}");
    }
}
