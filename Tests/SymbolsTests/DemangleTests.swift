// Mangled names of three languages, and names that only look like it.
// SPDX-License-Identifier: Apache-2.0

import Symbols
import Testing

@Suite struct DemangleTests {
  @Test(arguments: [
    ("$s1s7SessionC2idACSi_tcfc", "Session.init(id:)"),
    ("$s1s7SessionC2idACSi_tcfC", "Session.__allocating_init(id:)"),
    ("$s1s7SessionC3run_4thenyx_yxKXEtKSHRzlF", "Session.run<A>(_:then:)"),
    ("$s1s7SessionC6secret33_490C5507844FCFE9C2C66C56D0B23A80LLSiyF", "Session.secret()"),
    ("$s1s7SessionCfD", "Session.__deallocating_deinit"),
    ("$S1s7SessionCfD", "Session.__deallocating_deinit"),
    ("_T04main7SessionCfD", "Session.__deallocating_deinit"),
    ("$s1s7SessionC2goSiyYaKFTQ0_", "Session.go()"),
    ("$s1s7SessionC11descriptionSSvgSbSi_SitXEfU_", "closure #1 in Session.description.getter"),
    ("$s1s4RuleV1nSivg", "Rule.n.getter"),
    ("$s1s4RuleV1nSivM.resume.0", "Rule.n.modify"),
    ("$s1s4RuleVyS2icis", "Rule.subscript.setter"),
    ("$s1s4RuleVAA1PA2aDP2hiyS2iFTW", "protocol witness for P.hi(_:) in conformance Rule"),
    ("$s1s4RuleVMa", "type metadata accessor for Rule"),
    ("$s1s3genySayxGAClFSi_Tg5", "specialized gen<A>(_:)"),
    ("$sSa1sSiRszlE5totalSiyF", "Array<A>.total()"),
    (
      "$sSTsE6sorted2bySay7ElementQzGSbAD_ADtKXE_tKFSaySiG_Tg543$s1s7SessionC11descriptionSSvgSbSi_SitXEfU_Tf1cn_n",
      "specialized Sequence.sorted(by:)"
    ),
  ])
  func swift(mangled: String, readable: String) { #expect(demangle(mangled) == readable) }

  @Test(arguments: [
    ("_ZN2ns1AC2Ei", "ns::A::A(int)"),
    ("_ZN2ns1AD1Ev", "ns::A::~A()"),
    ("_ZNK2ns1A3getIiEET_S2_", "ns::A::get<int>(int) const"),
    ("_ZNK2ns1AcvbEv", "ns::A::operator bool() const"),
    ("_ZNK2ns1AplERKS0_", "ns::A::operator+(ns::A const&) const"),
    ("_ZN2ns1AnwEm", "ns::A::operator new(unsigned long)"),
    ("_ZlsRSoRKN2ns1AE", "operator<<(std::ostream&, ns::A const&)"),
    ("_ZltIiEbRK1XIT_ES4_", "operator< <int>(X<int> const&, X<int> const&)"),
    ("_Z8variadicIJidPKcEEiDpT_", "variadic<int, double, char const*>(int, double, char const*)"),
    ("_ZN12_GLOBAL__N_14anonEi", "(anonymous namespace)::anon(int)"),
    ("_ZTVN2ns1AE", "vtable for ns::A"),
    ("_ZThn16_N2ns1AD1Ev", "non-virtual thunk to ns::A::~A()"),
    ("_ZN2ns1AC2Ei.constprop.0", "ns::A::A(int)"),
    ("_ZN2ns1AC2Ei.part.0.cold", "ns::A::A(int)"),
    ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"),
    (
      "_Z1fNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESt6vectorIiSaIiEERSt3mapIS4_iSt4lessIS4_ESaISt4pairIKS4_iEEEPFiczEPKc",
      "f(std::string, std::vector<int>, std::map<std::string, int>&, int (*)(char, ...), char const*)"
    ),
    ("_ZNSt3__16vectorIiNS_9allocatorIiEEE9push_backEOi", "std::vector<int>::push_back(int&&)"),
    ("_ZNSt10unique_ptrI1XSt14default_deleteIS0_EED2Ev", "std::unique_ptr<X>::~unique_ptr()"),
    (
      "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE12_M_constructIPKcEEvT_S8_St20forward_iterator_tag",
      "std::string::_M_construct<char const*>(char const*, char const*, std::forward_iterator_tag)"
    ),
  ])
  func cplusplus(mangled: String, readable: String) { #expect(demangle(mangled) == readable) }

  @Test(arguments: [
    ("_ZN4core3ptr13drop_in_place17h1a23456789abcdefE", "core::ptr::drop_in_place"),
    (
      "_ZN1r3net16Session$LT$T$GT$4open28_$u7b$$u7b$closure$u7d$$u7d$17h864ba095dd7cf872E",
      "r::net::Session<T>::open::{{closure}}"
    ),
    (
      "_ZN60_$LT$r..net..Session$LT$u32$GT$$u20$as$u20$r..net..Speak$GT$5speak17hcd0f0e8ab202a80aE",
      "<r::net::Session<u32> as r::net::Speak>::speak"
    ),
    ("_RNvCs6GmmlP4bgsG_1r4main", "r::main"),
    ("_RNvMNtCs6GmmlP4bgsG_1r3netINtB2_7SessionmE4openB4_", "<r::net::Session<u32>>::open"),
    ("_RNCNvMNtCs6GmmlP4bgsG_1r3netINtB4_7SessionmE4open0B6_", "<r::net::Session<u32>>::open::{closure#0}"),
    (
      "_RINvNtNtCsjrHSEGnQ3l9_3std6thread9functions5spawnNCNvCs6GmmlP4bgsG_1r4main0uEBP_",
      "std::thread::functions::spawn::<r::main::{closure#0}, ()>"
    ),
  ])
  func rust(mangled: String, readable: String) { #expect(demangle(mangled) == readable) }

  @Test(arguments: ["", "_", "malloc", "main", "$sum", "_Zebra", "_ZN", "_ZN2ns", "_Rx", "_R", "$s", "_T0", "naïve"])
  func otherNamesStayAsTheyAre(name: String) { #expect(demangle(name) == name) }

  @Test func hostileNames() {
    let deep = "_Z1f" + String(repeating: "P", count: 60_000) + "i"
    #expect(demangle(deep) == deep)
    // Each template has the one before for both its arguments: 2^60 characters in all.
    var doubling = "_Z1f1AIiiE"
    for index in 0..<60 {
      let previous = "S\(String(index, radix: 36).uppercased())_"
      doubling += "S_I\(previous)\(previous)E"
    }
    #expect(demangle(doubling) == doubling)
    let long = "_Z" + String(repeating: "1a", count: 1_000_000)
    #expect(demangle(long) == long)
    for prefix in ["$s", "_R", "_ZN", "_RNvC"] {
      for length in [10, 1000, 60_000] {
        for piece in ["N", "I", "S_", "AA", "1a", "Sa", "y", "B_", "T", "_"] {
          let name = prefix + String(repeating: piece, count: length / piece.utf8.count)
          #expect(!demangle(name).isEmpty)
        }
      }
    }
  }
}
