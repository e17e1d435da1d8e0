use oodlab_base::Seed;

#[test]
fn every_draw_is_the_streams_own_at_any_offset_and_length() {
    let stream = Seed(11).stream("normal");
    for (first, length) in [(0, 0), (0, 1), (1, 2), (3, 1), (2, 9), (4, 4), (5, 20_003), ((1 << 34) + 3, 4100)] {
        let mut out = vec![f32::NAN; length];
        super::fill(stream, first, &mut out);
        for (i, x) in out.iter().enumerate() {
            assert_eq!(x.to_bits(), stream.normal(first + i as u64).to_bits(), "position {first} + {i}");
        }
    }
}
