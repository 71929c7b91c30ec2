#![allow(missing_docs, clippy::all, clippy::pedantic)]
use nexus_mpc::journal::MemoryJournal;
use nexus_mpc::mask::*;
use nexus_mpc::secagg::*;
use nexus_mpc::session::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Arc;
use std::time::Instant;
fn med(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}
fn main() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut vals = vec![0u32; 1 << 20];
    let m = [Mask { seed: MaskSeed::derive(&[1; 32], &[]), sign: Sign::Minus }];
    one.install(|| {
        let t: Vec<f64> = (0..101)
            .map(|_| {
                let t = Instant::now();
                apply(&m, &mut vals);
                t.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        println!("apply 1 mask 2^20: {:.3} ms", med(t));
    });
    let ms: Vec<Mask> = (0..20).map(|i| Mask { seed: MaskSeed::derive(&[i; 32], &[]), sign: Sign::Minus }).collect();
    one.install(|| {
        let t: Vec<f64> = (0..21)
            .map(|_| {
                let t = Instant::now();
                apply(&ms, &mut vals);
                t.elapsed().as_secs_f64() * 1e3 / 20.
            })
            .collect();
        println!("apply 20 masks 2^20, each: {:.3} ms", med(t));
    });
    let bits = ModulusBits::new(26).unwrap();
    let input = vec![5i64; 1 << 20];
    one.install(|| {
        let t: Vec<f64> = (0..51)
            .map(|_| {
                let t = Instant::now();
                std::hint::black_box(mask_and_pack(bits, &input, &[]).unwrap());
                t.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        println!("range check + pack only: {:.3} ms", med(t));
    });
    let packed = mask_and_pack(bits, &input, &[]).unwrap();
    one.install(|| {
        let t: Vec<f64> = (0..51)
            .map(|_| {
                let t = Instant::now();
                bits.add_packed(&packed, &mut vals);
                t.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        println!("add_packed: {:.3} ms", med(t));
    });
    for (n, len, drop) in [(100usize, 100_000usize, 10usize), (20, 1_000_000, 0), (20, 1_000_000, 2)] {
        one.install(|| round(n, len, drop));
    }
}
fn round(n: usize, len: usize, drop: usize) {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let sk = Arc::new(Identity::generate(&mut rng));
    let keys: Vec<_> = (0..n).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
    let params = Arc::new(
        ParamsBuilder {
            session: SessionId([7; 32]),
            round: Round(0),
            clients: keys.iter().zip(0..).map(|(k, i)| (ClientId(i), k.verifying_key())).collect(),
            server: sk.verifying_key(),
            threshold: Params::least_threshold(n),
            modulus_bits: 26,
            length: len,
            model_hash: [0; 32],
            config_hash: [0; 32],
            min_survivors: Params::least_threshold(n),
            max_corrupt: 5,
        }
        .build()
        .unwrap(),
    );
    let j = MemoryJournal::new();
    let input = vec![3i64; len];
    let ms = |t: Instant| t.elapsed().as_secs_f64() * 1e3;
    let mut s = Server::new(params.clone(), sk).unwrap();
    let (mut c, mut st) = (vec![], vec![]);
    let mut srv = [0f64; 5];
    let mut cl = [0f64; 5];
    let mut c1 = vec![];
    for (i, k) in keys.iter().enumerate() {
        let t = Instant::now();
        let (x, m) = Client::advertise(params.clone(), ClientId(i as u32), k.clone(), &mut rng).unwrap();
        cl[0] += ms(t);
        let t = Instant::now();
        s.receive(&m).unwrap();
        srv[0] += ms(t);
        c1.push(x);
    }
    let t = Instant::now();
    let (mut s, roster) = s.close().unwrap();
    srv[0] += ms(t);
    for x in c1 {
        let t = Instant::now();
        let (x, m) = x.share(&roster, &mut rng).unwrap();
        cl[1] += ms(t);
        let t = Instant::now();
        s.receive(&m).unwrap();
        srv[1] += ms(t);
        c.push(x);
    }
    let t = Instant::now();
    let (mut s, inb) = s.close().unwrap();
    srv[1] += ms(t);
    let mut bytes = 0;
    let mut c3 = vec![];
    for (x, (_, ib)) in c.into_iter().zip(&inb).take(n - drop) {
        let t = Instant::now();
        let (x, m) = x.mask(ib, &input, &j).unwrap();
        cl[2] += ms(t);
        bytes = m.len();
        let t = Instant::now();
        s.receive(&m).unwrap();
        srv[2] += ms(t);
        c3.push(x);
    }
    let t = Instant::now();
    let (mut s, claim) = s.close().unwrap();
    srv[2] += ms(t);
    for x in c3 {
        let t = Instant::now();
        let (x, m) = x.sign(&claim, &j).unwrap();
        cl[3] += ms(t);
        let t = Instant::now();
        s.receive(&m).unwrap();
        srv[3] += ms(t);
        st.push(x);
    }
    let t = Instant::now();
    let (mut s, q) = s.close().unwrap();
    srv[3] += ms(t);
    for x in st {
        let t = Instant::now();
        let m = x.release(&q, &j).unwrap();
        cl[4] += ms(t);
        let t = Instant::now();
        s.receive(&m).unwrap();
        srv[4] += ms(t);
    }
    let t = Instant::now();
    let sum = s.close().unwrap();
    let open = ms(t);
    assert_eq!(sum.values[0], 3 * (n - drop) as i64);
    let cl: Vec<String> = cl.iter().map(|t| format!("{:.2}", t / n as f64)).collect();
    let srv: Vec<String> = srv.iter().map(|t| format!("{t:.1}")).collect();
    println!(
        "n={n} len={len} drop={drop}: client ms a step {cl:?}; server ms a step (all clients, with receive) {srv:?}; opening {open:.1} ms; upload {bytes} B"
    );
}
