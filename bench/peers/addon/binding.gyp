{
  "targets": [
    {
      "target_name": "hnswlib_threads",
      "sources": ["hnswlib_threads.cc"],
      "include_dirs": [
        "<!(node -p \"require('node-addon-api').include_dir\")",
        "../node_modules/hnswlib-node/src"
      ],
      "defines": ["NAPI_CPP_EXCEPTIONS"],
      "cflags!": ["-O2", "-Os"],
      "cflags_cc!": ["-fno-exceptions", "-O2", "-Os", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-O3", "-march=native"],
      "ldflags": ["-pthread"],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "OTHER_CPLUSPLUSFLAGS": ["-O3", "-march=native"]
      },
      "msvs_settings": {
        "VCCLCompilerTool": {
          "ExceptionHandling": 1,
          "AdditionalOptions": ["/std:c++20", "/O2", "/arch:AVX2"]
        }
      }
    }
  ]
}
