use oodlab_base::Seed;

#[test]
fn every_draw_is_the_streams_own_at_any_offset_and_length() {
    let stream = Seed(12).stream("uniform");
    for (first, length) in [(0, 0), (0, 1), (1, 2), (3, 1), (2, 9), (4, 4), (7, 20_003), ((1 << 34) + 1, 4099)] {
        let mut out = vec![f32::NAN; length];
        super::fill(stream, first, &mut out);
        for (i, x) in out.iter().enumerate() {
            assert_eq!(x.to_bits(), stream.uniform(first + i as u64).to_bits(), "position {first} + {i}");
            assert!((0.0..1.0).contains(x));
        }
    }
}
