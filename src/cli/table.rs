//! Rows below a head.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Rows below a head, with numbers to the right.
pub fn aligned(head: &[&str], rows: Vec<Vec<String>>, is_number: impl Fn(usize) -> bool) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let right = is_number(index);
        column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.to_string()
}
