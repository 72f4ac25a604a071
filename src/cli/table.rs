//! An aligned table for people. A column in which no row has anything is left out.

use super::words::width;

/// Between two columns.
const GAP: &str = "  ";

/// One column: its title, and on which side its values stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) => title,
        }
    }

    fn aligned(self, text: &str, cells: usize) -> String {
        let room = " ".repeat(cells.saturating_sub(width(text)));
        match self {
            Self::Left(_) => format!("{text}{room}"),
            Self::Right(_) => format!("{room}{text}"),
        }
    }
}

/// The rows under their titles, one line each, none with spaces at its end.
pub(super) fn render<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> Vec<String> {
    let titles = columns.map(|column| column.title().to_owned());
    let widths: [usize; N] = std::array::from_fn(|at| {
        let widest = rows.iter().map(|row| width(&row[at])).max().unwrap_or(0);
        if widest == 0 {
            0
        } else {
            widest.max(width(&titles[at]))
        }
    });
    let line = |row: &[String; N]| {
        let cells = (0..N)
            .filter(|at| widths[*at] > 0)
            .map(|at| columns[at].aligned(&row[at], widths[at]));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    std::iter::once(&titles).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests;
