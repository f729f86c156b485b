//! Microsoft's certificates, which most computers come with.
//!
//! Option ROMs of graphics and network cards, and other systems' boot loaders, are signed under them: firmware that
//! enforces signatures and does not have them may not start a card that it needs to show anything. So they are kept
//! by default.
//!
//! Those of 2011 ended in 2026. Firmware looks at no date: what was signed under them starts still, and nothing new
//! will be. What is newer is signed under those of 2023, which older computers may not have.
//!
//! Source: Microsoft, "Windows Secure Boot Key Creation and Management Guidance".

use uuid::Uuid;

use super::Variable;
use crate::certificate::{Certificate, CertificateError};

/// The owner of Microsoft's entries, by which Windows finds them.
pub const OWNER: Uuid = Uuid::from_u128(0x77fa9abd_0359_4d32_bd60_28f4e78f784b);

/// A certificate, and in which variable it belongs.
const BUNDLED: [(Variable, &[u8]); 7] = [
    (Variable::Kek, include_bytes!("microsoft/ms-kek-2011.der")),
    (Variable::Kek, include_bytes!("microsoft/ms-kek-2023.der")),
    // Boot loaders of other systems, and option ROMs of cards made before 2023
    (Variable::Db, include_bytes!("microsoft/ms-uefi-2011.der")),
    (Variable::Db, include_bytes!("microsoft/ms-uefi-2023.der")),
    (Variable::Db, include_bytes!("microsoft/ms-uefi-rom-2023.der")),
    // Windows
    (Variable::Db, include_bytes!("microsoft/windows-2011.der")),
    (Variable::Db, include_bytes!("microsoft/windows-2023.der")),
];

/// Those that belong in `variable`.
///
/// # Errors
/// None that a test has not seen.
pub fn of(variable: Variable) -> Result<Vec<Certificate>, CertificateError> {
    BUNDLED.iter().filter(|(of, _)| *of == variable).map(|(_, der)| Certificate::from_der(der)).collect()
}

/// All of them.
///
/// # Errors
/// None that a test has not seen.
pub fn all() -> Result<Vec<Certificate>, CertificateError> {
    BUNDLED.iter().map(|(_, der)| Certificate::from_der(der)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// SHA-256 of the certificates that virt-firmware carries; those of 2011 are in the variables of Debian's OVMF too.
    const FINGERPRINTS: [(&str, &str); 7] = [
        (
            "Microsoft Corporation KEK CA 2011",
            "a1117f516a32cefcba3f2d1ace10a87972fd6bbe8fe0d0b996e09e65d802a503",
        ),
        (
            "Microsoft Corporation KEK 2K CA 2023",
            "3cd3f0309edae228767a976dd40d9f4affc4fbd5218f2e8cc3c9dd97e8ac6f9d",
        ),
        (
            "Microsoft Corporation UEFI CA 2011",
            "48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507",
        ),
        ("Microsoft UEFI CA 2023", "f6124e34125bee3fe6d79a574eaa7b91c0e7bd9d929c1a321178efd611dad901"),
        (
            "Microsoft Option ROM UEFI CA 2023",
            "e5be3e64c6e66a281457ecdece0d6d0787577aad2a3a0144262c10c14ba8d8f1",
        ),
        (
            "Microsoft Windows Production PCA 2011",
            "e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961",
        ),
        ("Windows UEFI CA 2023", "076f1fea90ac29155ebf77c17682f75f1fdd1be196da302dc8461e350a9ae330"),
    ];

    #[test]
    fn the_certificates_are_microsofts() {
        let all = all().unwrap();
        assert_eq!(all.len(), FINGERPRINTS.len());
        for (certificate, (name, fingerprint)) in all.iter().zip(FINGERPRINTS) {
            assert!(certificate.subject().ends_with(&format!("CN={name}")), "{}", certificate.subject());
            assert_eq!(certificate.fingerprint(), fingerprint);
        }
        assert_eq!(of(Variable::Kek).unwrap().len(), 2);
        assert_eq!(of(Variable::Db).unwrap().len(), 5);
    }
}
