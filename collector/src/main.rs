//! x
fn main() -> anyhow::Result<()> {
    let f = std::env::args().nth(1).unwrap();
    let s = std::env::args().nth(2).is_some();
    let i = ribstream_collector::source::open(std::path::Path::new(&f))?;
    if s {
        let (s, r) = ribstream_collector::decode::summary(i, 1_000_000);
        println!("{}", serde_json::to_string(&s)?);
        r
    } else {
        ribstream_collector::decode::lines(
            i,
            1_000_000,
            std::io::BufWriter::new(std::io::stdout().lock()),
        )
    }
}
