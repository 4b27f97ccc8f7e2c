use super::*;

fn problems(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_value_knows_its_position() {
    let tree = parse("a: 1\nb:\n  - x\n  - {c: \"ü\", d: ~}\n").unwrap();
    let position = |node: &Node| node.position.map(|position| (position.line, position.column));
    assert_eq!(tree.get("a").and_then(position), Some((1, 4)));
    let items = tree.get("b").and_then(Node::items).unwrap();
    assert_eq!(position(&items[0]), Some((3, 5)));
    assert_eq!(position(items[1].get("d").unwrap()), Some((4, 17)));
    let key = items[1].member("d").unwrap().position.unwrap();
    assert_eq!((key.line, key.column), (4, 14));
    assert!(items[1].get("d").unwrap().is_null());
}

#[test]
fn what_is_repeated_is_repeated_and_what_is_merged_gives_way() {
    let text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {y: 4, <<: [*a, {z: 5}]}\n";
    let tree = parse(text).unwrap();
    let of = |name: &str, key: &str| tree.get(name).and_then(|node| node.get(key)?.as_u64());
    assert_eq!((of("b", "x"), of("b", "y")), (Some(1), Some(2)));
    assert_eq!((of("c", "x"), of("c", "y")), (Some(1), Some(3)));
    assert_eq!((of("d", "x"), of("d", "y"), of("d", "z")), (Some(1), Some(4), Some(5)));
}

#[test]
fn quotes_and_yamls_own_tags_say_what_is_text() {
    let text = "[no, \"no\", 'no', !!str no, ! no, !!bool \"no\", |-\n no\n]";
    let tree = parse(&text.replace(", |-\n no\n", "")).unwrap();
    let texts: Vec<_> = tree.items().unwrap().iter().map(Node::as_str).collect();
    assert_eq!(texts, [None, Some("no"), Some("no"), Some("no"), Some("no"), None]);
}

#[test]
fn what_is_not_taken_is_told_with_its_line_and_column() {
    let many = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(1000), "*a, ".repeat(101));
    let reported: Vec<_> = [
        "[",
        "a: 1\nb: 2\na: 3\nb: 4\n",
        "a: 1\n---\na: 2\n",
        "a: &a [*a]",
        "a: *b",
        "a: \"x",
        "a:\n\tb: 1",
        "a: b: c",
        "a: 1\n b: 2",
        "{[1]: 2}",
        "{!x a: 2}",
        "<<: 7",
        "a: !Sub [x]",
        "a: }",
        &many,
    ]
    .map(|text| {
        format!("{:?}: {}", text.chars().take(30).collect::<String>(), problems(text).join("\n  "))
    })
    .into();
    insta::assert_snapshot!(reported.join("\n"));
}

/// What a message shows of a text that is not a configuration may be a secret.
#[test]
fn a_text_that_is_no_yaml_is_not_quoted() {
    for text in ["hunter-2: [", "- \"hunter-2", "hunter-2: a: b", "hunter-2: }", "*hunter-2"] {
        let reported = problems(text).join("\n");
        assert!(!reported.contains("hunter-2"), "{reported}");
    }
}

/// Neither keys nor what is merged is looked for one by one.
#[test]
fn a_hundred_thousand_keys_are_read_in_no_time() {
    let keys: Vec<_> = (0..90_000).map(|n| format!("k{n}: 1")).collect();
    let text = format!("a: &a {{{}}}\nb: {{<<: *a, x: 1}}\n", keys.join(", "));
    let tree = parse(&text).unwrap();
    let members = tree.get("b").and_then(Node::members).unwrap();
    assert_eq!(members.len(), 90_001);
}

#[test]
fn a_byte_order_mark_and_the_line_ends_of_windows_are_no_content() {
    let tree = parse("\u{feff}a: x\r\nb: z\r\n").unwrap();
    assert_eq!(tree.get("a").and_then(Node::as_str), Some("x"));
    assert_eq!(tree.get("b").and_then(Node::as_str), Some("z"));
    let position = tree.member("b").and_then(|member| member.position).unwrap();
    assert_eq!((position.line, position.column), (2, 1));
}
