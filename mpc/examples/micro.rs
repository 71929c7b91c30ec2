#![allow(missing_docs, clippy::all, clippy::pedantic)]
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::time::Instant;
const T: usize = 4096;
fn best(name: &str, mut f: impl FnMut()) {
    let mut b = f64::MAX;
    for _ in 0..200 {
        let t = Instant::now();
        f();
        b = b.min(t.elapsed().as_secs_f64());
    }
    println!("{name}: {:.3} ms", b * 1e3);
}
fn main() {
    let key = [7u8; 16];
    let mut ks = vec![0u8; 4 * T];
    let mut vals = vec![0u32; 1 << 20];
    best("ctr128be write_keystream only", || {
        for i in 0..256u128 {
            ctr::Ctr128BE::<Aes128>::new(&key.into(), &i.to_be_bytes().into()).write_keystream(&mut ks);
            black_box(&ks);
        }
    });
    best("ctr32be write_keystream only", || {
        for i in 0..256u128 {
            ctr::Ctr32BE::<Aes128>::new(&key.into(), &i.to_be_bytes().into()).write_keystream(&mut ks);
            black_box(&ks);
        }
    });
    best("ctr64le write_keystream only", || {
        for i in 0..256u128 {
            ctr::Ctr64LE::<Aes128>::new(&key.into(), &i.to_be_bytes().into()).write_keystream(&mut ks);
            black_box(&ks);
        }
    });
    let mut blocks = vec![aes::Block::default(); T / 4];
    best("counters + encrypt_blocks", || {
        for i in 0..256u128 {
            let c = Aes128::new(&key.into());
            let base = i * 1024;
            for (k, b) in blocks.iter_mut().enumerate() {
                *b = base.wrapping_add(k as u128).to_be_bytes().into();
            }
            c.encrypt_blocks(&mut blocks);
            black_box(&blocks);
        }
    });
    best("counters only", || {
        for i in 0..256u128 {
            let base = i * 1024;
            for (k, b) in blocks.iter_mut().enumerate() {
                *b = base.wrapping_add(k as u128).to_be_bytes().into();
            }
            black_box(&blocks);
        }
    });
    best("encrypt_blocks only", || {
        for _ in 0..256u128 {
            let c = Aes128::new(&key.into());
            c.encrypt_blocks(&mut blocks);
            black_box(&blocks);
        }
    });
    best("key schedule only", || {
        for _ in 0..256u128 {
            black_box(Aes128::new(&key.into()));
        }
    });
    best("add only", || {
        for tile in vals.chunks_mut(T) {
            let s = black_box(u32::MAX);
            let (w, _) = ks.as_chunks::<4>();
            for (e, w) in tile.iter_mut().zip(w) {
                *e = e.wrapping_add((u32::from_le_bytes(*w) ^ s).wrapping_sub(s));
            }
        }
        black_box(&vals);
    });
    best("add only, hot tile", || {
        for _ in 0..256 {
            let tile = &mut vals[..T];
            let s = black_box(u32::MAX);
            let (w, _) = ks.as_chunks::<4>();
            for (e, w) in tile.iter_mut().zip(w) {
                *e = e.wrapping_add((u32::from_le_bytes(*w) ^ s).wrapping_sub(s));
            }
            black_box(&tile);
        }
    });
    let v = vec![0u8; 3_250_000];
    best("sha256 3.25MB", || {
        black_box(Sha256::digest(&v));
    });
    let bits = nexus_mpc::mask::ModulusBits::new(26).unwrap();
    let mut p = vec![0u8; bits.packed_length(1 << 20)];
    best("pack", || bits.pack(&vals, black_box(&mut p)));
    best("add_packed", || bits.add_packed(&p, black_box(&mut vals)));
    let input = vec![5i64; 1 << 20];
    best("range", || {
        black_box(input.iter().position(|v| !bits.holds(*v)));
    });
}
