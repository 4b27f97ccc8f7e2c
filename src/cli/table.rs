//! Rows below a head.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use textwrap::core::display_width;

/// Which of some columns fit into so much, in their order. Each has a width and a priority: the higher goes the
/// sooner, and those with none stay.
pub fn fitting(columns: &[(usize, u8)], width: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let priority = |index: usize| columns.get(index).map_or(0, |(_, priority)| *priority);
    let total = |kept: &[usize]| {
        let widths = kept.iter().filter_map(|index| columns.get(*index));
        widths.map(|(width, _)| width.saturating_add(GAP)).sum::<usize>()
    };
    while width < total(&kept) {
        let least = kept.iter().copied().max_by_key(|index| priority(*index));
        match least.filter(|index| priority(*index) != 0) {
            Some(least) => kept.retain(|index| *index != least),
            None => break,
        }
    }
    kept
}

/// A column: its head, its priority, and whether it is of numbers.
pub type Column = (&'static str, u8, bool);

/// Rows below a head, as many columns of it as fit into so much.
pub fn fitted(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let widths = columns.iter().enumerate().map(|(index, (head, priority, _))| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| display_width(cell)).max().unwrap_or_default();
        (widest.max(head.len()), *priority)
    });
    let kept = fitting(&widths.collect::<Vec<_>>(), width);
    let column = |index: &usize| columns.get(*index);
    let head: Vec<_> = kept.iter().filter_map(column).map(|(head, ..)| *head).collect();
    let row =
        |row: &Vec<String>| kept.iter().filter_map(|index| row.get(*index).cloned()).collect();
    let is_number = |at: usize| kept.get(at).and_then(column).is_some_and(|(.., number)| *number);
    aligned(&head, rows.iter().map(row).collect(), is_number)
}

/// Between two columns.
const GAP: usize = 2;

/// Rows below a head, with numbers to the right.
pub fn aligned(head: &[&str], rows: Vec<Vec<String>>, is_number: impl Fn(usize) -> bool) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2)); // GAP
        let right = is_number(index);
        column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.to_string()
}
