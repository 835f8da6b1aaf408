//! Which headings stand above a place in a Markdown text?

/// The ATX headings of a text (`# Title` to `###### Title`, outside fenced code), in order.
pub(super) struct Headings {
    found: Vec<Heading>,
}

struct Heading {
    at: usize,
    level: usize,
    title: String,
}

impl Headings {
    pub(super) fn read(text: &str) -> Self {
        let mut found = Vec::new();
        let mut fence: Option<&str> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let trimmed = line.trim_start_matches(' ');
            let indent = line.len() - trimmed.len();
            match fence {
                Some(mark) if indent < 4 && trimmed.starts_with(mark) => fence = None,
                Some(_) => {}
                None if indent >= 4 => {}
                None => match ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark)) {
                    Some(mark) => fence = Some(mark),
                    None => found.extend(heading(trimmed).map(|(level, title)| Heading { at, level, title })),
                },
            }
            at += line.len();
        }
        Headings { found }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The path of headings that a place stands under, outermost first; a heading stands under itself.
    pub(super) fn above(&self, at: usize) -> Vec<String> {
        let mut path: Vec<&Heading> = Vec::new();
        for heading in self.found.iter().take_while(|heading| heading.at <= at) {
            path.retain(|above| above.level < heading.level);
            path.push(heading);
        }
        path.into_iter().map(|heading| heading.title.clone()).collect()
    }
}

fn heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|&b| b == b'#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t']) {
        return None;
    }
    // Closing marks belong to the heading only after white space.
    let title = rest.trim();
    let bare = title.trim_end_matches('#');
    let title = if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { title };
    (!title.is_empty()).then(|| (level, title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_a_place() {
        let text =
            "# A\nintro\n## B ##\n```\n# not a heading\n```\n### C#\nx\n## D\ny\n#nor this\n    # nor this\n";
        let headings = Headings::read(text);
        let at = |needle: &str| headings.above(text.find(needle).unwrap());
        assert_eq!(at("intro"), ["A"]);
        assert_eq!(at("# not"), ["A", "B"]);
        assert_eq!(at("x\n"), ["A", "B", "C#"]);
        assert_eq!(at("y\n"), ["A", "D"]);
        assert_eq!(at("## D"), ["A", "D"]);
        assert!(Headings::read("plain\n####### seven\n").is_empty());
    }
}
