use super::*;

fn spec(yaml: &str) -> ListSpec {
    serde_yaml::from_str(&format!("{{file: list.txt, {yaml}}}")).expect("a list's description")
}

fn paths(list: &List) -> Vec<&str> {
    list.rows.iter().map(|row| &*row.path).collect()
}

/// Paths and labels, without class names.
fn pairs(yaml: &str, text: &str) -> Result<Vec<(String, Option<u32>)>, String> {
    let spec = spec(yaml);
    let list = read(&spec, text.as_bytes())?;
    let labels = list.labels(&spec, &[], None)?;
    Ok(list.rows.iter().map(|row| row.path.to_string()).zip(labels).collect())
}

#[test]
fn openood_lists_are_cut_at_blanks_and_minus_one_is_no_label() {
    let text = "cifar10/test/airplane/0001.png 3\ncifar10/test/cat/0002.png  0\n\ntin/val/x.JPEG -1";
    let found = pairs("label: 1", text).expect("a list");
    let expected =
        [("cifar10/test/airplane/0001.png", Some(3)), ("cifar10/test/cat/0002.png", Some(0)), ("tin/val/x.JPEG", None)];
    assert_eq!(found, expected.map(|(path, label)| (path.to_owned(), label)));
}

#[test]
fn tiny_imagenet_has_tabs_and_names_of_classes() {
    let spec = spec("form: tabs, label: 1");
    let list =
        read(&spec, b"val_0.JPEG\tn03444034\t0\t32\t44\t62\r\nval_1.JPEG\tn01443537\t5\t6\t7\t8\r\n").expect("a list");
    assert_eq!(paths(&list), ["val_0.JPEG", "val_1.JPEG"]);
    let names = ["n01443537".to_owned(), "n03444034".to_owned()];
    assert_eq!(list.labels(&spec, &names, Some(2)), Ok(vec![Some(1), Some(0)]));
    // Without names the order of the texts is theirs; with other names it is an error.
    assert_eq!(list.labels(&spec, &[], None), Ok(vec![Some(1), Some(0)]));
    let message = list.labels(&spec, &names[..1], None).expect_err("not a name");
    assert!(message.contains("line 1: label \"n03444034\""), "{message}");
}

#[test]
fn names_of_celeba_are_those_of_the_last_columns() {
    let text = "2\n5_o_Clock_Shadow Arched_Eyebrows Smiling\n000001.jpg -1  1  1\n000002.jpg -1 -1 -1\n";
    let yaml = |label: &str| format!("skip_lines: 1, header: true, label: {label}, label_values: {{'-1': 0, '1': 1}}");
    let labels = |label: &str| {
        pairs(&yaml(label), text).map(|pairs| pairs.into_iter().map(|(_, label)| label).collect::<Vec<_>>())
    };
    assert_eq!(labels("Smiling"), Ok(vec![Some(1), Some(0)]));
    assert_eq!(labels("5_o_Clock_Shadow"), Ok(vec![Some(0), Some(0)]));
    // A number counts all columns.
    assert_eq!(labels("2"), Ok(vec![Some(1), Some(0)]));
    let message = labels("Smile").expect_err("no such name");
    assert!(message.starts_with("line 3: no column is named \"Smile\"; there are: 5_o"), "{message}");
    let message = pairs(&yaml("Smiling"), &format!("{text}000003.jpg 1 1\n")).expect_err("a short line");
    assert!(message.starts_with("line 5: 3 columns, 4 in the lines before"), "{message}");
}

#[test]
fn conditions_choose_and_labels_are_those_of_all_lines() {
    let text = "image,split,label\n\"a, b.png\",train,dog\nc.png,test,cat\nd.png,test,elk\n";
    let yaml = "form: csv, header: true, path: image, label: label, where: {column: split, is: test}";
    assert_eq!(pairs(yaml, text), Ok(vec![("c.png".into(), Some(0)), ("d.png".into(), Some(2))]));
    let yaml = "form: csv, skip_lines: 1";
    let spec = spec(yaml);
    let list = read(&spec, format!("\u{feff}{text}").as_bytes()).expect("quotes");
    assert_eq!((paths(&list), list.rows[2].line), (vec!["a, b.png", "c.png", "d.png"], 4));
    assert_eq!(
        pairs("where: {column: 1, is: '2'}, ending: .jpg", "1 0\n2 2\n3 2\n"),
        Ok(vec![("2.jpg".into(), None), ("3.jpg".into(), None)])
    );
}

#[test]
fn labels_are_never_guessed() {
    for (yaml, text, part) in [
        ("label: 1", "a 1.0\nb 2.0\n", "line 1: label \"1.0\" is no whole number"),
        ("label: 1", "a 1\nb cat\n", "line 2: label \"cat\" stands beside numbers"),
        ("label: 1, label_values: {x: 0}", "a x\nb y\n", "line 2: label \"y\" is none"),
        ("label: 1", "a 99999999999\n", "too large"),
        ("label: 2", "a 1\n", "line 1: no column 2"),
        ("label: kind", "a 1\n", "has none (`header`)"),
        ("header: true, label: x", "x x\na 1\n", "several columns"),
        ("header: true, label: x", "p x\na\n", "line 2: 1 columns under 2 names"),
    ] {
        let message = pairs(yaml, text).expect_err(text);
        assert!(message.contains(part), "{text:?}: {message}");
    }
    let list_spec = spec("label: 1");
    let list = read(&list_spec, b"a 1\nb 10\n").expect("a list");
    assert!(list.labels(&list_spec, &[], Some(10)).is_err_and(|what| what.contains("line 2") && what.contains("10")));
    assert_eq!(pairs("label: 1, form: csv", "a,\nb,4\n"), Ok(vec![("a".into(), None), ("b".into(), Some(4))]));
}

#[test]
fn paths_stay_in_their_folder() {
    for text in ["../a.png", "a/../../b.png", "a//b.png", "..", "/../x", "a\\b.png", "./../a"] {
        let message = pairs("label: 1", &format!("ok.png 0\n{text} 1\n")).expect_err(text);
        assert!(message.starts_with("line 2: ") && message.contains("leaves"), "{text}: {message}");
    }
    assert!(pairs("form: csv", "\"a.png\nb.png\n").is_err_and(|what| what.contains("stray quote")));
    assert!(read(&spec("form: csv"), b"a.png\n\xff\xfe.png\n").is_err_and(|what| what == "line 2: not UTF-8"));
    assert!(read(&spec("skip_lines: 1"), b"x\na.png\n\xff\xfe.png\n").is_err_and(|what| what == "line 3: not UTF-8"));
    // As Places365's training list has them, and as `find` prints them.
    let found = pairs("label: 1", "/a/airfield/1.jpg 0\n./b/2.jpg 1\n").expect("below the folder");
    assert_eq!(found, [("a/airfield/1.jpg".to_owned(), Some(0)), ("b/2.jpg".to_owned(), Some(1))]);
    assert_eq!(pairs("skip_lines: 9", "a\n"), Ok(vec![]));
}
