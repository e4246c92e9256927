// SwiftPM wants a source file: the library is made of MallowPreload, by the linker flags in Package.swift.
