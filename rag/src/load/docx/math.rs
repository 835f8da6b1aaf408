//! How is an equation read as a line of text?
//!
//! Office's equations (ECMA-376, part 1, section 22.1) in the linear form that Word itself shows (Unicode Technical
//! Note 28): `(a+b)/c`, `x²`, `x_(n+1)`, `√(x)`, `∑_(n=1)^∞ a`.

use super::super::xml::Node;

/// The text of an `m:oMath`, or of all in an `m:oMathPara`, a line each.
pub(super) fn text(node: &Node) -> String {
    let lines: Vec<String> = match &*node.name {
        "oMathPara" => node.children("oMath").map(inner).collect(),
        _ => vec![inner(node)],
    };
    lines.join("\n").trim().to_owned()
}

fn inner(node: &Node) -> String {
    let mut text = String::new();
    let mut script = false;
    for child in node.elements() {
        let part = one(child);
        // Where a script ends is else not to be seen: `x^k a` and not `x^ka`.
        if script && text.ends_with(char::is_alphanumeric) && part.starts_with(char::is_alphanumeric) {
            text.push(' ');
        }
        script = matches!(&*child.name, "sSup" | "sSub" | "sSubSup") && part.contains(['^', '_']);
        text.push_str(&part);
    }
    text
}

fn part(node: &Node, name: &str) -> String {
    node.child(name).map(inner).unwrap_or_default()
}

fn one(node: &Node) -> String {
    let property = |group: &str, name: &str| {
        node.child(group)
            .and_then(|group| group.child(name))
            .map(|node| node.attribute("val").unwrap_or_default())
    };
    // Such signs are one character each; a longer one would be repeated between all parts.
    let sign = |group: &str, name: &str| {
        property(group, name).map(|text| text.char_indices().nth(1).map_or(text, |(end, _)| &text[..end]))
    };
    match &*node.name {
        "r" => node.children("t").map(Node::text).collect(),
        "f" => {
            let (above, below) = (part(node, "num"), part(node, "den"));
            match property("fPr", "type") {
                // Not a fraction but two lines, as in a binomial coefficient.
                Some("noBar") => format!("{} ¦ {}", grouped(&above), grouped(&below)),
                _ => format!("{}/{}", grouped(&above), grouped(&below)),
            }
        }
        "sSup" => part(node, "e") + &superscript(&part(node, "sup")),
        "sSub" => part(node, "e") + &subscript(&part(node, "sub")),
        "sSubSup" => part(node, "e") + &subscript(&part(node, "sub")) + &superscript(&part(node, "sup")),
        "sPre" => subscript(&part(node, "sub")) + &superscript(&part(node, "sup")) + &part(node, "e"),
        "rad" => {
            let degree = part(node, "deg");
            let sign = match degree.trim() {
                "" | "2" => "√".to_owned(),
                "3" => "∛".to_owned(),
                "4" => "∜".to_owned(),
                other => format!("√[{other}]"),
            };
            format!("{sign}({})", part(node, "e"))
        }
        "nary" => {
            let sign = sign("naryPr", "chr").unwrap_or("∫");
            let limits = subscript(&part(node, "sub")) + &superscript(&part(node, "sup"));
            format!("{sign}{limits} {}", part(node, "e"))
        }
        "d" => {
            let open = sign("dPr", "begChr").unwrap_or("(");
            let close = sign("dPr", "endChr").unwrap_or(")");
            let between = sign("dPr", "sepChr").unwrap_or("|");
            let parts: Vec<String> = node.children("e").map(inner).collect();
            format!("{open}{}{close}", parts.join(between))
        }
        "func" => {
            let (name, argument) = (part(node, "fName"), part(node, "e"));
            let space = if argument.starts_with(['(', '[', '{']) { "" } else { " " };
            format!("{name}{space}{argument}")
        }
        "m" => {
            let rows =
                node.children("mr").map(|row| row.children("e").map(inner).collect::<Vec<_>>().join(" & "));
            rows.collect::<Vec<_>>().join("; ")
        }
        "eqArr" => node.children("e").map(inner).collect::<Vec<_>>().join("\n"),
        "limLow" => part(node, "e") + &subscript(&part(node, "lim")),
        "limUpp" => part(node, "e") + &superscript(&part(node, "lim")),
        // A combining accent follows what it stands on.
        "acc" => part(node, "e") + sign("accPr", "chr").unwrap_or("\u{302}"),
        "bar" => part(node, "e") + "\u{305}",
        "t" => node.text(),
        name if name.ends_with("Pr") => String::new(),
        // Boxes, phantoms, groups, and whatever else holds parts.
        _ => inner(node),
    }
}

/// In parentheses unless it is one word or number.
fn grouped(text: &str) -> String {
    let text = text.trim();
    if text.chars().all(|c| c.is_alphanumeric() || c == '.') { text.to_owned() } else { format!("({text})") }
}

fn superscript(text: &str) -> String {
    raised(text, '^', |c| {
        Some(match c {
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '0' | '4'..='9' => char::from_u32('⁰' as u32 + c.to_digit(10)?)?,
            '+' => '⁺',
            '-' | '−' => '⁻',
            'n' => 'ⁿ',
            'i' => 'ⁱ',
            _ => return None,
        })
    })
}

fn subscript(text: &str) -> String {
    raised(text, '_', |c| {
        Some(match c {
            '0'..='9' => char::from_u32('₀' as u32 + c.to_digit(10)?)?,
            '+' => '₊',
            '-' | '−' => '₋',
            _ => return None,
        })
    })
}

fn raised(text: &str, mark: char, sign: impl Fn(char) -> Option<char>) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let signs: Option<String> = text.chars().map(sign).collect();
    signs.unwrap_or_else(|| format!("{mark}{}", grouped(text)))
}

#[cfg(test)]
mod tests {
    use super::super::super::xml;
    use super::*;

    fn read(inside: &str) -> String {
        text(&xml::tree(&format!("<oMath>{inside}</oMath>")).unwrap())
    }

    #[test]
    fn equations_are_lines() {
        let r = |text: &str| format!("<r><t>{text}</t></r>");
        let pair = |tag: &str, one: &str, a: &str, two: &str, b: &str| {
            format!("<{tag}><{one}>{}</{one}><{two}>{}</{two}></{tag}>", r(a), r(b))
        };
        assert_eq!(read(&(r("A=π") + &pair("sSup", "e", "r", "sup", "2"))), "A=πr²");
        assert_eq!(read(&pair("f", "num", "140 − age", "den", "72")), "(140 − age)/72");
        assert_eq!(read(&pair("sSub", "e", "x", "sub", "n+1")), "x_(n+1)");
        assert_eq!(read(&(pair("sSup", "e", "x", "sup", "k") + &r("a"))), "x^k a");
        assert_eq!(read(&format!("<rad><deg/><e>{}</e></rad>", r("x"))), "√(x)");
        let sum = format!(
            "<nary><naryPr><chr val='∑'/></naryPr><sub>{}</sub><sup>{}</sup><e>{}</e></nary>",
            r("n=1"),
            r("∞"),
            r("a")
        );
        assert_eq!(read(&sum), "∑_(n=1)^(∞) a");
        let brackets = format!("<d><dPr><begChr val='['/><endChr val=']'/></dPr><e>{}</e></d>", r("x"));
        assert_eq!(read(&brackets), "[x]");
    }
}
