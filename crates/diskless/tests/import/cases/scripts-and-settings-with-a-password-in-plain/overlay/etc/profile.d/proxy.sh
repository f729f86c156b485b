export http_proxy=http://me:geheim1234@proxy.example.org:3128
