//! JSON for people: indented, with names, order and numbers as they were written.

/// Returns valid JSON with one element per line.
///
/// It moves white space only: reading and writing it again would sort names and round numbers.
pub(crate) fn indent(json: &str) -> String {
    let mut text = String::with_capacity(2 * json.len());
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    // Whether something was opened and nothing stands in it yet.
    let mut fresh = false;
    for c in json.chars() {
        if in_text {
            text.push(c);
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        let closes = matches!(c, '}' | ']');
        match c {
            c if c.is_ascii_whitespace() => continue,
            _ if closes => {
                depth -= 1;
                if !fresh {
                    break_line(&mut text, depth);
                }
            }
            _ if fresh => break_line(&mut text, depth),
            _ => {}
        }
        text.push(c);
        fresh = matches!(c, '{' | '[');
        match c {
            '"' => in_text = true,
            '{' | '[' => depth += 1,
            ',' => break_line(&mut text, depth),
            ':' => text.push(' '),
            _ => {}
        }
    }
    text
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_on_lines_of_their_own_and_nothing_else_changes() {
        let json = r#"{ "b":1.10,"a" : [1e400,{},[ ], "x, {\"y\": [}\\"],"c":null}"#;
        let expected = r#"{
  "b": 1.10,
  "a": [
    1e400,
    {},
    [],
    "x, {\"y\": [}\\"
  ],
  "c": null
}"#;
        assert_eq!(indent(json), expected);
        assert_eq!(indent(expected), expected);
        for scalar in ["7", "\"a b\"", "true", "{}", "[]"] {
            assert_eq!(indent(scalar), scalar);
        }
    }
}
