//! Which of two sides belong together, so that the sum over all pairs is largest: the Hungarian method (Kuhn 1955; Munkres 1957), row by
//! row with shortest augmenting paths.
//!
//! Of our own: it is a screen of code without a choice in it, and the libraries that have it bring graphs and numbers of every kind along.
//! Costs n^3 for n on the larger side: 50 clusters, 125,000 steps a block.

/// For each row the column that it gets; `gains` has as many columns in every row. Of a larger side some stay without.
pub(super) fn assign(gains: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (gains.len(), gains.first().map_or(0, Vec::len));
    let n = rows.max(columns);
    // Beyond the table there is nothing to gain.
    let cost = |row: usize, column: usize| -gains.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0);
    let mut duals = Duals { rows: vec![0.0; n], columns: vec![0.0; n + 1], owner: vec![None; n + 1] };
    (0..n).for_each(|row| duals.add(row, n, cost));
    let mut found = vec![None; rows];
    for (column, owner) in duals.owner[..columns].iter().enumerate() {
        if let Some(row) = owner.filter(|row| *row < rows) {
            found[row] = Some(column);
        }
    }
    found
}

/// Prices of rows and columns, and who has each column. The column behind the last is where a row that is added waits.
struct Duals {
    rows: Vec<f64>,
    columns: Vec<f64>,
    owner: Vec<Option<usize>>,
}

impl Duals {
    /// Finds a column for one more row; others may change theirs for it.
    fn add(&mut self, row: usize, n: usize, cost: impl Fn(usize, usize) -> f64) {
        let (mut slack, mut from, mut is_used) = (vec![f64::INFINITY; n], vec![n; n], vec![false; n + 1]);
        let mut at = n;
        self.owner[n] = Some(row);
        while let Some(owner) = self.owner[at] {
            is_used[at] = true;
            for column in (0..n).filter(|&column| !is_used[column]) {
                let reduced = cost(owner, column) - self.rows[owner] - self.columns[column];
                if reduced < slack[column] {
                    (slack[column], from[column]) = (reduced, at);
                }
            }
            let free = (0..n).filter(|&column| !is_used[column]);
            let next = free.reduce(|best, column| if slack[column] < slack[best] { column } else { best });
            let next = next.expect("as many columns as rows");
            let step = slack[next];
            for column in 0..=n {
                match self.owner[column].filter(|_| is_used[column]) {
                    Some(owner) => {
                        self.rows[owner] += step;
                        self.columns[column] -= step;
                    }
                    None if column < n => slack[column] -= step,
                    None => {}
                }
            }
            at = next;
        }
        while at != n {
            self.owner[at] = self.owner[from[at]];
            at = from[at];
        }
        self.owner[n] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(gains: &[Vec<f64>], found: &[Option<usize>]) -> f64 {
        found.iter().zip(gains).filter_map(|(column, row)| Some(row[(*column)?])).sum()
    }

    /// The best by trying everything.
    fn best(gains: &[Vec<f64>], row: usize, taken: &mut Vec<usize>) -> f64 {
        let Some(values) = gains.get(row) else { return 0.0 };
        let mut most = best(gains, row + 1, taken);
        for (column, value) in values.iter().enumerate() {
            if !taken.contains(&column) {
                taken.push(column);
                most = most.max(value + best(gains, row + 1, taken));
                taken.pop();
            }
        }
        most
    }

    #[test]
    fn no_other_pairs_gain_more() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from((seed >> 33) as u32 % 10)
        };
        for (rows, columns) in [(1, 1), (3, 3), (2, 5), (5, 2), (6, 6), (4, 6)] {
            for _ in 0..30 {
                let gains: Vec<Vec<f64>> = (0..rows).map(|_| (0..columns).map(|_| next()).collect()).collect();
                let found = assign(&gains);
                let mut columns_taken: Vec<usize> = found.iter().flatten().copied().collect();
                columns_taken.sort_unstable();
                let n = columns_taken.len();
                columns_taken.dedup();
                assert_eq!((columns_taken.len(), n), (n, rows.min(columns)), "a column each, while there are any");
                assert_eq!(gain(&gains, &found), best(&gains, 0, &mut Vec::new()), "{gains:?}");
            }
        }
        assert_eq!(assign(&[]), []);
        assert_eq!(assign(&[vec![], vec![]]), [None, None]);
    }
}
