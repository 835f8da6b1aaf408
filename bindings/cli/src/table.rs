//! How do rows become a table?

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table as Grid, presets};

use crate::text;

/// A table for people: names above, a row a line, cut to the width of the terminal.
pub(crate) struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Columns of numbers.
    right: Vec<usize>,
}

impl Table {
    pub(crate) fn new<const N: usize>(names: [&'static str; N]) -> Table {
        Table { names: names.to_vec(), rows: Vec::new(), right: Vec::new() }
    }

    /// Columns whose values stand on the right.
    pub(crate) fn right<const N: usize>(mut self, columns: [usize; N]) -> Table {
        self.right = columns.to_vec();
        self
    }

    /// A row; what stands in it may come from anywhere.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| text::line(cell)).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let mut grid = Grid::new();
        grid.load_preset(presets::NOTHING).set_truncation_indicator("\u{2026}");
        match width {
            Some(width) => {
                grid.set_content_arrangement(ContentArrangement::Dynamic);
                grid.set_width(u16::try_from(width).unwrap_or(u16::MAX));
            }
            None => {
                grid.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        let line = |cells: Vec<String>| {
            let cell = |(i, cell): (usize, String)| {
                let right = self.right.contains(&i);
                Cell::new(cell).set_alignment(if right { CellAlignment::Right } else { CellAlignment::Left })
            };
            let mut row = Row::from(cells.into_iter().enumerate().map(cell).collect::<Vec<_>>());
            row.max_height(1);
            row
        };
        grid.set_header(line(self.names.iter().map(|name| (*name).to_owned()).collect()));
        for row in &self.rows {
            grid.add_row(line(row.clone()));
        }
        for (i, column) in grid.column_iter_mut().enumerate() {
            column.set_padding((0, if i + 1 == self.names.len() { 0 } else { 2 }));
        }
        // What rows are called is copied into the next command, and is cut last.
        let names = self.rows.iter().filter_map(|row| row.first()).map(|name| text::width(name));
        let widest = names.max().unwrap_or_default();
        if width.is_some_and(|width| widest <= width / 2)
            && let Some(column) = grid.column_mut(0)
        {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        grid.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_the_terminal_and_keeps_its_rows() {
        let mut table = Table::new(["ID", "NAME", "SCORE"]).right([2]);
        table.row(["a".to_owned(), "日本語のとても長い名前です、端末より長い".to_owned(), "0.5".to_owned()]);
        table.row(["b\u{1b}[2J".to_owned(), "two\nlines".to_owned(), "12.25".to_owned()]);
        let shown = table.render(Some(30));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines.iter().all(|line| text::width(line) <= 30), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        assert!(table.render(None).contains("端末より長い"));
    }
}
