use super::*;

fn values(rows: usize, width: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; rows * width];
    crate::normal::fill(oodlab_base::Seed(seed).stream("vectors"), 0, &mut values);
    values
}

/// Every distance, sorted: the specification.
fn plain(train: &[f32], query: &[f32], width: usize, k: usize) -> Vec<Neighbour> {
    let mut all: Vec<Neighbour> = train
        .chunks(width)
        .enumerate()
        .map(|(index, row)| Neighbour { distance: squared_distance(query, row), index: index as u32 })
        .collect();
    all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
    all.truncate(k);
    all
}

fn check(train: &[f32], queries: &[f32], width: usize, k: usize) {
    let vectors = Vectors::new(train, width).expect("whole rows");
    let found = vectors.neighbours(queries, k, |row, found| (row, found.to_vec())).expect("whole rows");
    for (place, (row, found)) in found.into_iter().enumerate() {
        assert_eq!(row, place);
        assert_eq!(found, plain(train, &queries[row * width..(row + 1) * width], width, k), "query {row}");
    }
}

#[test]
fn neighbours_are_those_of_all_distances() {
    for (rows, queries, width, k) in
        [(1, 3, 5, 4), (300, 70, 17, 10), (5000, 33, 8, 50), (5000, 600, 3, 1), (900, 40, 64, 899)]
    {
        check(&values(rows, width, 1), &values(queries, width, 2), width, k);
    }
}

/// Where products cancel: vectors far from zero and near each other, and thousands that are equal.
#[test]
fn rounding_and_ties_lose_no_neighbour() {
    let (width, rows) = (24, 4500);
    let mut train = values(rows, width, 3);
    train.iter_mut().for_each(|x| *x = 100.0 + 1e-3 * *x);
    let mut queries = values(40, width, 4);
    queries.iter_mut().for_each(|x| *x = 100.0 + 1e-3 * *x);
    check(&train, &queries, width, 20);
    let equal: Vec<f32> = values(3, width, 5).repeat(2000);
    check(&equal, &values(5, width, 6), width, 30);
}

#[test]
fn threads_and_batches_change_nothing() {
    let (train, queries) = (values(2000, 12, 7), values(700, 12, 8));
    let run = |threads: usize, queries: &[f32]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let vectors = Vectors::new(&train, 12).expect("whole rows");
        pool.install(|| vectors.neighbours(queries, 5, |_, found| found.to_vec()).expect("whole rows"))
    };
    let whole = run(1, &queries);
    assert_eq!(whole, run(3, &queries));
    let mut parts = run(2, &queries[..12 * 31]);
    parts.extend(run(2, &queries[12 * 31..]));
    assert_eq!(whole, parts);
    assert!(Vectors::new(&train[1..], 12).is_err());
    assert!(Vectors::new(&train, 12).expect("whole rows").neighbours(&queries[1..], 5, |_, _| ()).is_err());
}
