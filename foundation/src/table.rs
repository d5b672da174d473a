//! Plain tables: columns as wide as their widest cell, two spaces between.

/// Render rows of equal length; trailing spaces are cut.
pub fn render<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| -> String {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let rows = [["A", "LONG"], ["wider", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::render(rows.into_iter()), "A      LONG\nwider  x\n");
    }
}
