//! The light a scene stands in: four hours of the day, three moods of each.
//!
//! The colours were chosen by eye, as sets; a mood keeps its character through the day, so that
//! the four pictures of a job look like one evening at one place.

use super::canvas::Colour;

/// When the picture is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hour {
    Dawn,
    Day,
    Dusk,
    Night,
}

impl Hour {
    /// In the order in which a series goes through them.
    pub(super) const ALL: [Self; 4] = [Self::Dawn, Self::Day, Self::Dusk, Self::Night];
}

/// Moods of an hour.
pub(super) const MOODS: usize = 3;

/// The colours of one hour in one mood.
#[derive(Clone, Copy)]
pub(super) struct Light {
    pub(super) hour: Hour,
    /// The sky at the top, half-way and where it meets the land.
    pub(super) sky: [Colour; 3],
    /// The disc of the sun or the moon, and its glow.
    pub(super) disc: Colour,
    /// Land far away, veiled by air.
    pub(super) far: Colour,
    /// Land close by, against the light.
    pub(super) near: Colour,
    /// Sand in the light.
    pub(super) sand: Colour,
    /// How many stars: 0 none, 1 a clear night.
    pub(super) stars: f32,
    /// Northern lights.
    pub(super) aurora: bool,
}

const fn rgb(hex: u32) -> Colour {
    const fn channel(byte: u32) -> f32 {
        // One byte, exact in any float.
        (byte & 0xff) as u8 as f32 / 255.0
    }
    [channel(hex >> 16), channel(hex >> 8), channel(hex)]
}

/// `hexes`: sky top, middle and horizon, disc, far, near, sand.
const fn light(hour: Hour, hexes: [u32; 7]) -> Light {
    Light {
        hour,
        sky: [rgb(hexes[0]), rgb(hexes[1]), rgb(hexes[2])],
        disc: rgb(hexes[3]),
        far: rgb(hexes[4]),
        near: rgb(hexes[5]),
        sand: rgb(hexes[6]),
        stars: match hour {
            Hour::Dawn | Hour::Day => 0.0,
            Hour::Dusk => 0.25,
            Hour::Night => 1.0,
        },
        aurora: false,
    }
}

const DAWN: [Light; MOODS] = [
    light(
        Hour::Dawn,
        [
            0x5b_6f_a3, 0xd5_9b_b0, 0xff_d9_b8, 0xff_f1_d6, 0xc7_9d_b0, 0x2e_28_40, 0xe6_b0_98,
        ],
    ),
    light(
        Hour::Dawn,
        [
            0x4f_8a_9b, 0xb9_cb_b9, 0xfd_e3_b4, 0xff_f6_dd, 0xa9_bf_b5, 0x1f_3a_3d, 0xe8_c7_9a,
        ],
    ),
    light(
        Hour::Dawn,
        [
            0x7c_7f_b8, 0xc3_b1_d9, 0xf9_df_e0, 0xff_fa_f0, 0xb7_a9_cf, 0x33_30_5a, 0xe3_bf_b8,
        ],
    ),
];

const DAY: [Light; MOODS] = [
    light(
        Hour::Day,
        [
            0x2f_6f_b2, 0x7f_b4_dd, 0xe4_f0_f2, 0xff_ff_f6, 0xa9_c8_da, 0x1d_3b_4f, 0xe9_c4_8c,
        ],
    ),
    light(
        Hour::Day,
        [
            0x5f_a0_c0, 0xbc_d3_c6, 0xfb_e9_b7, 0xff_fb_e0, 0xc9_c4_9c, 0x3b_45_26, 0xee_c8_7e,
        ],
    ),
    light(
        Hour::Day,
        [
            0x86_a9_b8, 0xd9_d2_b8, 0xf6_db_a4, 0xff_f4_d0, 0xd3_b1_83, 0x4a_2f_22, 0xdf_a3_66,
        ],
    ),
];

const DUSK: [Light; MOODS] = [
    light(
        Hour::Dusk,
        [
            0x2b_23_50, 0xa3_3f_6b, 0xff_9e_4f, 0xff_e3_a0, 0xb2_54_6b, 0x1a_12_30, 0xe0_70_4a,
        ],
    ),
    light(
        Hour::Dusk,
        [
            0x3e_4a_68, 0xc9_85_59, 0xff_c9_6b, 0xff_f0_b8, 0xb5_7a_55, 0x27_19_1c, 0xe5_91_4c,
        ],
    ),
    light(
        Hour::Dusk,
        [
            0x1f_2a_5c, 0x6b_4c_9a, 0xf2_8f_a2, 0xff_d3_c4, 0x7d_5a_9c, 0x17_16_39, 0xc9_76_80,
        ],
    ),
];

const NIGHT: [Light; MOODS] = [
    light(
        Hour::Night,
        [
            0x06_0b_1f, 0x12_25_4a, 0x34_55_7e, 0xf3_f1_e0, 0x2d_4a_70, 0x05_09_13, 0x5a_6a_88,
        ],
    ),
    light(
        Hour::Night,
        [
            0x0a_18_38, 0x1f_3f_73, 0x6e_8f_b5, 0xff_f6_dc, 0x3f_61_8e, 0x08_10_20, 0x6d_78_98,
        ],
    ),
    Light {
        aurora: true,
        ..light(
            Hour::Night,
            [
                0x04_0d_18, 0x0b_2a_33, 0x1f_5a_57, 0xe8_f5_ea, 0x1b_4a_4c, 0x03_10_0f, 0x47_70_70,
            ],
        )
    },
];

impl Light {
    pub(super) fn of(hour: Hour, mood: usize) -> Self {
        let moods = match hour {
            Hour::Dawn => &DAWN,
            Hour::Day => &DAY,
            Hour::Dusk => &DUSK,
            Hour::Night => &NIGHT,
        };
        moods[mood % MOODS]
    }
}
